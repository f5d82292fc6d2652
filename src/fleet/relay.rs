//! Passes the lists of a fleet to the controllers and the metrics.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_clock as clock;
use cortecs_resources::key::ObjectKey;
use cortecs_rules::{
    account::{
        brake::Lists,
        late_starts::{Late, Scene, Watch},
        status::FAILURES_TO_TELL,
        summary::Finances,
    },
    facts::{fleet_key::FleetKey, snapshot::Snapshot},
};

use super::{
    admission::Measurement,
    directory::{Directory, WeakDirectory},
    hooks::{Claims, FleetObserver, InstanceHooks, Listed},
    summarize::summarize,
};
use crate::{kubernetes::queue::Watches, serve::metrics::Metrics};

/// The observer of a fleet. It notifies the instances first, then the accounts with a change.
pub struct Relay {
    pub(crate) directory: WeakDirectory,
    pub(crate) claims: Arc<dyn Claims>,
    pub(crate) instances: Arc<dyn InstanceHooks>,
    /// The queues of accounts.
    pub(crate) accounts: Arc<Watches>,
    pub(crate) metrics: Metrics,
}

impl FleetObserver for Relay {
    fn admits(&self, fleet: &FleetKey, old: Option<&Snapshot>, new: &Snapshot) -> bool {
        let Some(directory) = self.directory.upgrade() else {
            return false;
        };
        if !self.claims.synced() || !directory.knows_holds() {
            // The resources and the holds are not known yet.
            return false;
        }
        let past = directory.past(fleet);
        let measure = self.claims.measure(Lists {
            fleet,
            old,
            new,
            past: &past,
        });
        let matters = measure.trips() || directory.hold_message(fleet).is_some();
        let down = match matters {
            true => self.claims.down(fleet, new),
            false => BTreeSet::new(),
        };
        let admission = directory.admit(fleet, new, Measurement { measure, down }, clock::wall());
        if !admission.admitted {
            tracing::warn!(%fleet, expected = measure.expected, lost = measure.lost, "a list is withheld until an account has recorded the beginning or the end of a hold");
        }
        self.enqueue(admission.enqueue);
        if !admission.admitted {
            self.watch_for_late(&directory, fleet, new, false);
        }
        admission.admitted
    }

    fn on_list(&self, listed: Listed<'_>) {
        self.instances.on_list(listed);
        let Listed { fleet, new, .. } = listed;
        let Some(directory) = self.directory.upgrade() else {
            return;
        };
        directory.end_unrecorded(fleet);
        for account in directory.accounts_of(fleet) {
            self.metrics
                .list_received(&account.to_string(), new.requested_at);
        }
        let settle = self.claims.settle();
        directory.change_stop_calls(fleet, |calls| calls.note(new, settle, clock::wall()));
        let is_trusted = directory.hold_message(fleet).is_none();
        self.watch_for_late(&directory, fleet, new, is_trusted);
        self.enqueue(directory.attentive(fleet));
        self.show_summary(&directory, fleet, new);
    }

    fn on_summary_stale(&self, fleet: &FleetKey) {
        let directory = self.directory.upgrade();
        let known = directory.and_then(|d| Some((d.fleet(fleet)?.snapshot()?, d)));
        if let Some((snapshot, directory)) = known {
            self.show_summary(&directory, fleet, &snapshot);
        }
    }

    fn on_prices_changed(&self, fleet: &FleetKey) {
        self.on_summary_stale(fleet);
        if let Some(directory) = self.directory.upgrade() {
            for account in directory.accounts_of(fleet) {
                self.instances.on_account_changed(&account);
            }
        }
    }

    fn on_payment_changed(&self, fleet: &FleetKey) {
        if let Some(directory) = self.directory.upgrade() {
            self.enqueue(directory.accounts_of(fleet));
        }
    }

    fn on_list_failed(&self, key: &FleetKey, busy: &[ObjectKey]) {
        self.instances.on_list_failed(key, busy);
        let Some(directory) = self.directory.upgrade() else {
            return;
        };
        let is_shown = directory.fleet(key).is_some_and(|fleet| {
            let health = fleet.health();
            health.authentication_failed
                || health.failures >= FAILURES_TO_TELL
                || fleet.snapshot().is_none()
        });
        if is_shown {
            self.enqueue(directory.show_failure(key));
        }
    }

    fn on_turn(&self, resources: Vec<ObjectKey>) {
        self.instances.on_turn(resources);
    }
}

impl Relay {
    fn enqueue(&self, accounts: Vec<ObjectKey>) {
        accounts.into_iter().for_each(|key| self.accounts.add(key));
    }

    /// Takes note of the instances that come up after a start was given up, where an account deletes them.
    fn watch_for_late(
        &self,
        directory: &Directory,
        fleet: &FleetKey,
        list: &Snapshot,
        is_trusted: bool,
    ) {
        if !directory.deletes_late(fleet) {
            return directory.change_late(fleet, |late| *late = Late::default());
        }
        let mut watch: Arc<Watch> = Arc::default();
        directory.change_late(fleet, |late| watch = std::mem::take(&mut late.watch));
        let settle = self.claims.settle();
        self.claims.with_book(&mut |book| {
            Arc::make_mut(&mut watch).note(&Scene {
                book,
                fleet,
                list,
                is_trusted,
                settle,
                wall: clock::wall(),
            });
        });
        directory.change_late(fleet, |late| late.noted(watch));
    }

    /// Shows the summary of a list in the metrics and, after a change, in the statuses of the accounts.
    fn show_summary(&self, directory: &Directory, fleet: &FleetKey, list: &Snapshot) {
        let known = directory.fleet(fleet);
        let prices = known.as_ref().and_then(|fleet| fleet.finances().prices());
        let balance = known.as_ref().and_then(|fleet| fleet.finances().balance());
        let finances = Finances {
            prices: prices.as_deref(),
            balance: balance.clone(),
        };
        let summary = self
            .claims
            .synced()
            .then(|| summarize(fleet, list, finances, &*self.claims));
        let hold = directory.hold(fleet);
        let is_on_hold = hold.is_some();
        let per_hour =
            prices.as_ref().map(|prices| {
                let instances = list.instances.iter();
                prices.per_hour(instances.map(|(id, instance)| {
                    (&**instance, self.claims.namespace_of(&fleet.api_url, id))
                }))
            });
        for account in directory.accounts_of(fleet) {
            let account = account.to_string();
            self.metrics.set_held(&account, is_on_hold);
            if let Some(per_hour) = &per_hour {
                self.metrics.set_price_per_hour(&account, per_hour);
            }
            if let Some(prices) = &prices {
                self.metrics.set_hardware_prices(&account, prices);
            }
            if let Some(balance) = &balance {
                self.metrics.set_balance(&account, balance);
            }
            if let Some(summary) = &summary {
                let count = u64::try_from(summary.counts.unmanaged).unwrap_or_default();
                self.metrics.set_unmanaged_instances(&account, count);
                self.metrics.set_late_instances(&account, summary.late);
            }
        }
        let mut enqueue = directory.set_summary(fleet, summary);
        if directory.set_shown_hold(fleet, hold) {
            enqueue = directory.accounts_of(fleet);
            for account in &enqueue {
                self.instances.on_account_changed(account);
            }
        }
        self.enqueue(enqueue);
    }
}
