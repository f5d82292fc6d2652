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

use super::{
    draft::Draft,
    input::{Account, FleetView},
    protocol::Rule,
    step::Decision,
    verdict::Verdict,
};
use crate::{
    cost::{
        Prices,
        budget::{Request, Room, room},
        money::{Micros, parse, show},
    },
    facts::{
        budget_wait::{BudgetWait, LOOK},
        fleet_key::FleetKey,
        home::fleet_of,
        snapshot::Snapshot,
    },
    ledger::{
        billed::{Billed, Question, billed},
        entry::Entry,
    },
};

/// Why nothing may be started with the budget.
pub(crate) enum NoRoom {
    /// The last list is too old to tell.
    NeedsList,
    /// The verdict, and what the resource waits for.
    Exceeded(Verdict, Option<BudgetWait>),
}

impl NoRoom {
    /// Waits for room.
    pub(crate) fn wait(self, mut draft: Draft<'_>) -> Decision {
        let (verdict, wait) = match self {
            Self::NeedsList => return await_list(draft),
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

/// Waits for a list that is fresh. A resource that waits for the budget goes on showing that.
pub(crate) fn await_list(mut draft: Draft<'_>) -> Decision {
    if !waits(&draft) {
        return draft.await_fresh_list();
    }
    let fresh = draft.input.settings.fresh();
    draft.needs_list(draft.input.now.before(fresh));
    draft.unchanged(Some(LOOK))
}

/// Whether the status says already that the resource waits for the budget.
fn waits(draft: &Draft<'_>) -> bool {
    let ready = find_condition(&draft.status.conditions, READY);
    draft.is_current() && ready.and_then(Reason::of) == Some(Reason::WaitingForBudget)
}

/// Whether there is room for an instance with these arguments, beside all but what the resource itself has: that is what is to run, or is
/// removed before. A list that is too old can say that there is none.
pub(crate) fn check(
    draft: &Draft<'_>,
    account: &Account,
    wanted: &InstanceArgs,
) -> Result<(), NoRoom> {
    if account.budgets.is_empty() {
        return Ok(());
    }
    let list = draft.snapshot().ok_or(NoRoom::NeedsList)?;
    check_by(draft, account, list, wanted)?;
    match draft.fresh_list() {
        Some(_) => Ok(()),
        None => Err(NoRoom::NeedsList),
    }
}

/// The same by this list, whatever its age.
pub(crate) fn check_by(
    draft: &Draft<'_>,
    account: &Account,
    list: &Snapshot,
    wanted: &InstanceArgs,
) -> Result<(), NoRoom> {
    let strictest = strictest(account);
    let caps = strictest
        .iter()
        .map(|budget| Check::of(draft, account, budget));
    let caps: Vec<Check<'_>> = caps.collect();
    let mut price = None;
    for cap in &caps {
        price = Some(
            cap.price(wanted)
                .map_err(|verdict| NoRoom::Exceeded(verdict, None))?,
        );
    }
    for budget in &account.budgets {
        Check::of(draft, account, budget).balance(price.flatten())?;
    }
    match (caps.first(), price) {
        (Some(cap), Some(Some(price))) => cap.room(list, price),
        (Some(cap), _) => Err(cap.waits("the API's prices are not known yet", None)),
        (None, _) => Ok(()),
    }
}

/// Whether the budget alone permits an instance with these arguments. While the prices are not known nothing is said against it.
pub(crate) fn permits(
    draft: &Draft<'_>,
    account: &Account,
    wanted: &InstanceArgs,
) -> Result<(), Verdict> {
    for budget in strictest(account) {
        Check::of(draft, account, budget).price(wanted)?;
    }
    Ok(())
}

/// The budget with the least price per hour of each currency.
fn strictest(account: &Account) -> Vec<&(ObjectKey, Budget)> {
    let mut caps: Vec<_> = account.budgets.iter().collect();
    caps.retain(|(_, budget)| budget.max_price_per_hour.is_some());
    caps.sort_by_key(|(of, budget)| (&budget.currency, most(budget), of));
    caps.dedup_by_key(|(_, budget)| &budget.currency);
    caps
}

/// The most that all together may cost. The definition permits numbers alone; what is none permits nothing.
fn most(budget: &Budget) -> Micros {
    let most = budget.max_price_per_hour.as_deref().and_then(parse);
    most.unwrap_or_default()
}

/// One budget.
struct Check<'a> {
    draft: &'a Draft<'a>,
    fleet: FleetKey,
    /// Whose budget it is, for people.
    of: String,
    budget: &'a Budget,
}

impl<'a> Check<'a> {
    fn of(
        draft: &'a Draft<'a>,
        account: &'a Account,
        (of, budget): &'a (ObjectKey, Budget),
    ) -> Self {
        let identity = &account.identity;
        let is_own = (&of.namespace, &of.name) == (&identity.namespace, &identity.name);
        let of = match is_own {
            true => format!("account {of}"),
            // It may be another tenant's.
            false => "another account with the same client id".to_owned(),
        };
        Self {
            draft,
            fleet: fleet_of(identity),
            of,
            budget,
        }
    }

    fn view(&self) -> Option<&'a FleetView> {
        self.draft.input.account.fleet.as_ref()
    }

    fn prices(&self) -> Option<&'a Prices> {
        self.view()?.prices.as_deref()
    }

    /// The amount in the currency of the budget.
    fn show(&self, amount: Micros) -> String {
        format!("{} {}", show(amount), self.budget.currency)
    }

    fn limit(&self) -> String {
        format!(
            "{} permits {} an hour by its spec.budget.maxPricePerHour",
            self.of,
            self.show(most(self.budget))
        )
    }

    /// The price of what is to be started; `None` while prices are not known. An error if it can never fit.
    fn price(&self, wanted: &InstanceArgs) -> Result<Option<Micros>, Verdict> {
        let Some(prices) = self.prices() else {
            return Ok(None);
        };
        let (limit, currency) = (self.limit(), &self.budget.currency);
        let hardware = wanted.hardware_type_id.as_deref();
        let workers = wanted.num_workers.map_or(1, i64::from);
        let Some(price) = prices.in_currency(hardware, workers, currency) else {
            let hardware = hardware.unwrap_or("hardware of the API's choice");
            return Err(exceeds(format!(
                "{limit}, and {hardware} has no price in {currency}: choose other hardware"
            )));
        };
        match price <= most(self.budget) {
            true => Ok(Some(price)),
            false => Err(exceeds(format!(
                "{limit}, and this alone needs {}: raise the budget or ask for less",
                self.show(price)
            ))),
        }
    }

    fn balance(&self, price: Option<Micros>) -> Result<(), NoRoom> {
        let (of, currency) = (&self.of, &self.budget.currency);
        let Some(least) = self.budget.min_balance.as_deref() else {
            return Ok(());
        };
        let least = format!("its spec.budget.minBalance is {least} {currency}");
        let Some(balance) = self.view().and_then(|view| view.balance.as_ref()) else {
            let message = format!("the balance of {of} is not known at the moment, and {least}");
            return Err(self.waiting(message, price));
        };
        let is = format!(
            "the balance of {of} is {} {}",
            balance.amount, balance.currency
        );
        if balance.currency != *currency {
            return Err(NoRoom::Exceeded(
                exceeds(format!(
                    "{is}, and {least}: write the budget in the currency of the account"
                )),
                None,
            ));
        }
        let amount = parse(&balance.amount);
        let enough = self.budget.min_balance.as_deref().and_then(parse);
        match amount
            .zip(enough)
            .is_some_and(|(amount, least)| amount >= least)
        {
            true => Ok(()),
            false => Err(self.waiting(format!("{is}, and {least}: top up the account"), price)),
        }
    }

    /// Whether there is room for what costs so much.
    fn room(&self, list: &Snapshot, wanted: Micros) -> Result<(), NoRoom> {
        let input = self.draft.input;
        let (mut shown, mut open, mut own) = (0_i64, 0_i64, 0_i64);
        let question = Question {
            fleet: &self.fleet,
            me: input.key,
            now: input.now,
            wall: input.wall,
            settle: input.settings.settle,
        };
        for one in billed(input.book, list, question) {
            if one.is_open && !self.draft.enforces(Rule::OpenCallsCount) {
                continue;
            }
            let price = self.price_of(one);
            let sum = match one {
                Billed { is_own: true, .. } => &mut own,
                Billed { is_open: true, .. } => &mut open,
                Billed { .. } => &mut shown,
            };
            match price {
                Some(price) => *sum = sum.saturating_add(price),
                None if one.is_own => {}
                None => return Err(self.waits(&self.unknown(one), Some(wanted))),
            }
        }
        let request = Request {
            most: most(self.budget),
            used: shown.saturating_add(open),
            own,
            wanted,
        };
        let ahead = self.ahead();
        if room(request, ahead.iter().copied()) == Room::Now {
            return Ok(());
        }
        let first = match ahead.is_empty() {
            true => "",
            false => "; what is older and fits goes first",
        };
        let sums = format!(
            "{} is billed, {} may be before long, and this needs {}{first}",
            self.show(shown),
            self.show(open),
            self.show(wanted),
        );
        Err(self.waits(&sums, Some(wanted)))
    }

    fn price_of(&self, one: Billed<'_>) -> Option<Micros> {
        let currency = &self.budget.currency;
        self.prices()?
            .in_currency(one.hardware, one.workers?, currency)
    }

    fn unknown(&self, one: Billed<'_>) -> String {
        let what = match one.id {
            Some(id) => format!("what instance {id} costs"),
            None => "what a start that is open costs".to_owned(),
        };
        let currency = &self.budget.currency;
        format!("{what} in {currency} is not known, which counts as too much")
    }

    /// The prices of what waits in this fleet and is older, the oldest first.
    fn ahead(&self) -> Vec<Micros> {
        let input = self.draft.input;
        let created = |entry: &Entry| {
            let created = entry.resource.metadata.creation_timestamp.as_ref();
            created.map(|created| created.0)
        };
        let mine = input.resource.metadata.creation_timestamp.as_ref();
        let mine = (mine.map(|created| created.0), input.key);
        let waits = |(key, entry)| {
            let wait = waits_for(entry, &self.fleet, input.now)?;
            Some(((created(entry), key), wait.price))
        };
        let mut ahead: Vec<_> = input.book.iter().filter_map(waits).collect();
        // Resources of one second are in the order of their names.
        ahead.retain(|(age, _)| *age < mine);
        ahead.sort_unstable();
        ahead.into_iter().map(|(_, price)| price).collect()
    }

    /// The resource waits because of the price per hour.
    fn waits(&self, why: &str, price: Option<Micros>) -> NoRoom {
        self.waiting(format!("{}: {why}", self.limit()), price)
    }

    /// The resource waits. `price`: of what it waits for, if that is known.
    fn waiting(&self, message: String, price: Option<Micros>) -> NoRoom {
        let now = self.draft.input.now;
        let reason = Reason::WaitingForBudget;
        let wait = price.map(|price| BudgetWait {
            fleet: self.fleet.clone(),
            price,
            looked_at: now,
            shown_at: now,
        });
        let phase = self.draft.idle_phase();
        NoRoom::Exceeded(Verdict::reconciling(phase, reason, message), wait)
    }
}

fn exceeds(message: String) -> Verdict {
    Verdict::stalled(Phase::Failed, Reason::ExceedsBudget, message)
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
