//! Whether what is to be started fits the account's budget, together with all that is billed or may be before long.
//!
//! A decision is taken under the lock of the book, and the intent that follows from it counts from that moment on. So of starts side by
//! side each sees the ones before it.

use cortecs_api::types::InstanceArgs;
use cortecs_clock::Moment;
use cortecs_resources::{
    budget::Budget,
    conditions::{READY, find_condition},
    instance::DesiredState,
    instance_status::Phase,
    key::ObjectKey,
    reason::Reason,
};
use jiff::Timestamp;

use super::{
    draft::Draft,
    input::{Account, FleetView},
    protocol::Rule,
    step::Decision,
    verdict::Verdict,
};
use crate::{
    cost::{
        budget::{Request, Room, room},
        money::{Micros, parse, show},
    },
    facts::{
        budget_wait::{BudgetWait, LOOK},
        fleet_key::FleetKey,
        home::fleet_of,
        snapshot::Snapshot,
    },
    ledger::{billed::billed, entry::Entry},
};

/// Why nothing may be started with the budget.
pub(crate) enum NoRoom {
    /// The last list is too old to tell.
    NeedsList,
    Exceeded(Verdict, Option<BudgetWait>),
}

impl NoRoom {
    /// Waits for room.
    pub(crate) fn wait(self, mut draft: Draft<'_>) -> Decision {
        let (verdict, wait) = match self {
            Self::NeedsList => return draft.await_fresh_list(),
            Self::Exceeded(verdict, wait) => (verdict, wait),
        };
        let now = draft.input.now;
        let before = draft.budget_wait.take();
        let shown = before.filter(|before| before.is_shown(now) && waits(&draft));
        let Some(wait) = wait else {
            return draft.rest(verdict, Some(LOOK));
        };
        draft.budget_wait = Some(BudgetWait {
            shown_at: shown.as_ref().map_or(now, |shown| shown.shown_at),
            ..wait
        });
        match shown {
            Some(_) => draft.unchanged(Some(LOOK)),
            None => draft.rest(verdict, Some(LOOK)),
        }
    }
}

/// Whether the status says already that the resource waits for the budget.
fn waits(draft: &Draft<'_>) -> bool {
    let ready = find_condition(&draft.status.conditions, READY);
    draft.is_current() && ready.and_then(Reason::of) == Some(Reason::WaitingForBudget)
}

/// Whether there is room for an instance with these arguments, by a fresh list. What the resource itself has is not counted: it is what is to
/// run, or is removed before.
pub(crate) fn check(
    draft: &Draft<'_>,
    account: &Account,
    wanted: &InstanceArgs,
) -> Result<(), NoRoom> {
    if account.budgets.is_empty() {
        return Ok(());
    }
    let list = draft.fresh_list().ok_or(NoRoom::NeedsList)?;
    check_by(draft, account, list, wanted)
}

/// The same by this list.
pub(crate) fn check_by(
    draft: &Draft<'_>,
    account: &Account,
    list: &Snapshot,
    wanted: &InstanceArgs,
) -> Result<(), NoRoom> {
    let fleet = draft.input.account.fleet.as_ref();
    for (of, budget) in &account.budgets {
        let check = Check {
            draft,
            fleet: fleet_of(&account.identity),
            of,
            budget,
        };
        check.balance(fleet)?;
        check.price(fleet, list, wanted)?;
    }
    Ok(())
}

/// One budget.
struct Check<'a> {
    draft: &'a Draft<'a>,
    fleet: FleetKey,
    /// The account whose budget it is.
    of: &'a ObjectKey,
    budget: &'a Budget,
}

impl Check<'_> {
    fn balance(&self, fleet: Option<&FleetView>) -> Result<(), NoRoom> {
        let (of, currency) = (self.of, &self.budget.currency);
        let Some(least) = &self.budget.min_balance else {
            return Ok(());
        };
        let Some(balance) = fleet.and_then(|fleet| fleet.balance.as_ref()) else {
            return Err(self.waits(
                format!("the balance of account {of} is not known yet, and its spec.budget.minBalance is {least} {currency}"),
                None,
            ));
        };
        let amount = parse(&balance.amount).filter(|_| balance.currency == *currency);
        if amount
            .zip(parse(least))
            .is_some_and(|(amount, least)| amount >= least)
        {
            return Ok(());
        }
        let message = format!(
            "the balance of account {of} is {} {}, and its spec.budget.minBalance is {least} {currency}: top up the account",
            balance.amount, balance.currency
        );
        Err(self.waits(message, None))
    }

    fn price(
        &self,
        fleet: Option<&FleetView>,
        list: &Snapshot,
        wanted: &InstanceArgs,
    ) -> Result<(), NoRoom> {
        let (of, currency, input) = (self.of, &self.budget.currency, self.draft.input);
        let Some(most) = &self.budget.max_price_per_hour else {
            return Ok(());
        };
        // The definition permits numbers alone. What is none permits nothing.
        let most = parse(most).unwrap_or_default();
        let limit = format!(
            "account {of} permits {} {currency} an hour by its spec.budget.maxPricePerHour",
            show(most)
        );
        let Some(prices) = fleet.and_then(|fleet| fleet.prices.as_ref()) else {
            return Err(self.waits(
                format!("{limit}, and the API's prices are not known yet"),
                None,
            ));
        };
        let hardware = wanted.hardware_type_id.as_deref();
        let workers = wanted.num_workers.map_or(1, i64::from);
        let Some(price) = prices.in_currency(hardware, workers, currency) else {
            let hardware = hardware.unwrap_or("hardware of the API's choice");
            return Err(exceeds(format!(
                "{limit}, and {hardware} has no price in {currency}: choose other hardware"
            )));
        };
        let (mut shown, mut open) = (0_i64, 0_i64);
        for one in billed(
            input.book,
            &self.fleet,
            list,
            input.key,
            input.now,
            input.settings.settle,
        ) {
            if one.is_open && !self.draft.enforces(Rule::OpenCallsCount) {
                continue;
            }
            let sum = if one.is_open { &mut open } else { &mut shown };
            let Some(price) = prices.in_currency(one.hardware, one.workers, currency) else {
                let hardware = one.hardware.unwrap_or("hardware that is not known");
                return Err(self.waits(
                    format!("{limit}, and what runs on {hardware} has no price in {currency}, which counts as too much"),
                    Some(price),
                ));
            };
            *sum = sum.saturating_add(price);
        }
        let request = Request {
            most,
            used: shown.saturating_add(open),
            wanted: price,
        };
        let ahead = self.ahead();
        match room(request, ahead.iter().copied()) {
            Room::Now => Ok(()),
            Room::Never => Err(exceeds(format!(
                "{limit}, and this alone needs {}: raise the budget or ask for less",
                show(price)
            ))),
            Room::Later => Err(self.waits(
                format!(
                    "{limit}: {} is billed, {} may be before long, and this needs {}{}",
                    show(shown),
                    show(open),
                    show(price),
                    match ahead.is_empty() {
                        true => "",
                        false => "; what has waited for longer and fits goes first",
                    },
                ),
                Some(price),
            )),
        }
    }

    /// The prices of what waits for this budget and is older, the oldest first.
    fn ahead(&self) -> Vec<Micros> {
        let input = self.draft.input;
        let mine = age(
            input
                .resource
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|t| t.0),
            input.key,
        );
        let waits = |(key, entry)| {
            let wait = waits_for(entry, &self.fleet, input.now).filter(|_| key != input.key)?;
            let created = entry.resource.metadata.creation_timestamp.as_ref();
            Some((age(created.map(|t| t.0), key), wait.price))
        };
        let mut ahead: Vec<_> = input.book.iter().filter_map(waits).collect();
        ahead.retain(|(age, _)| *age < mine);
        ahead.sort_unstable();
        ahead.into_iter().map(|(_, price)| price).collect()
    }

    /// The resource waits. `price`: what it waits for, if it is known to be too much now.
    fn waits(&self, message: String, price: Option<Micros>) -> NoRoom {
        let now = self.draft.input.now;
        let reason = Reason::WaitingForBudget;
        let wait = price.map(|price| BudgetWait {
            fleet: self.fleet.clone(),
            price,
            looked_at: now,
            shown_at: now,
        });
        NoRoom::Exceeded(
            Verdict::reconciling(self.draft.idle_phase(), reason, message),
            wait,
        )
    }
}

fn exceeds(message: String) -> NoRoom {
    NoRoom::Exceeded(
        Verdict::stalled(Phase::Failed, Reason::ExceedsBudget, message),
        None,
    )
}

/// The order of age. Resources of one second are in the order of their names.
fn age(created: Option<Timestamp>, key: &ObjectKey) -> (Option<Timestamp>, ObjectKey) {
    (created, key.clone())
}

/// The wait of a resource for the budget of this fleet, if it is still to run.
fn waits_for<'a>(entry: &'a Entry, fleet: &FleetKey, now: Moment) -> Option<&'a BudgetWait> {
    let resource = &entry.resource;
    let runs = resource.spec.state == DesiredState::Running && !resource.spec.suspend;
    let wait = entry.memory.budget_wait.as_ref()?;
    let waits = runs
        && resource.metadata.deletion_timestamp.is_none()
        && wait.fleet == *fleet
        && wait.lasts(now);
    waits.then_some(wait)
}
