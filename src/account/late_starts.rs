//! The calls that `lateStartPolicy: Delete` orders.

use std::{sync::Arc, time::Duration};

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsAccount, CortecsInstance,
    account::{NamespacesFrom, Sharing},
    key::ObjectKey,
    unmanaged::{LateInstance, LateStartPolicy},
};
use cortecs_rules::{
    account::late_starts::{Act, Late, Scene, act, event, is_complete, next_records},
    facts::account_entry::AccountEntry,
};
use jiff::Timestamp;

use super::context::AccountController;
use crate::fleet::poll::Fleet;

/// What an account does about late outcomes.
#[derive(Default)]
pub(super) struct LatePlan {
    /// The records as the status should have them.
    pub(super) records: Vec<LateInstance>,
    fleet: Option<Arc<Fleet>>,
    /// The next step for each instance on record.
    acts: Vec<(LateInstance, Act)>,
}

/// How soon to look again while no call may be made.
const PAUSE: Duration = Duration::from_secs(1);

impl AccountController {
    /// What the account records and does about late outcomes.
    pub(super) fn plan_late(&self, me: &ObjectKey, wall: Timestamp) -> LatePlan {
        let Self {
            directory, claims, ..
        } = self;
        let Some(entry) = directory.account(&me.namespace, &me.name) else {
            return LatePlan::default();
        };
        let deletes = entry.spec.late_start_policy == LateStartPolicy::Delete;
        let known = entry.late_instances.iter();
        let known: Vec<_> = known
            .filter(|record| deletes || record.end_time.is_some())
            .cloned()
            .collect();
        let fleet = directory.fleet_of_member(me);
        let list = fleet.as_ref().and_then(|fleet| fleet.snapshot());
        let (Some(fleet), Some(list)) = (fleet, list) else {
            return LatePlan {
                records: known,
                ..LatePlan::default()
            };
        };
        let may_act = deletes && claims.synced() && directory.synced() && self.is_certain(&fleet);
        if !may_act {
            return LatePlan {
                records: next_records(&known, Vec::new(), &[], wall),
                ..LatePlan::default()
            };
        }
        let late = directory.late(fleet.key());
        let (now, settle) = (clock::moment(), claims.settle());
        let (mut found, mut acts) = (Vec::new(), Vec::new());
        claims.with_book(&mut |book| {
            let scene = Scene {
                book,
                fleet: fleet.key(),
                list: &list,
                is_complete: is_complete(book, fleet.key(), &list, now, settle),
                wall,
            };
            found = late.watch.found(&scene, me, &known);
            let act = |record: &LateInstance| (record.clone(), act(record, &scene, &late.calls));
            acts = known.iter().map(act).collect();
        });
        let by_id: Vec<_> = acts.iter().map(|(r, act)| (r.id.clone(), *act)).collect();
        LatePlan {
            records: next_records(&known, found, &by_id, wall),
            fleet: Some(fleet),
            acts,
        }
    }

    /// Whether only this operator starts instances in the fleet, and it sees all that may, and lists are believed.
    fn is_certain(&self, fleet: &Fleet) -> bool {
        let (directory, key) = (&self.directory, fleet.key());
        let sees_all = |entry: &AccountEntry| {
            let is_watched = |namespace: &String| {
                let mut scopes = self.watches.scopes();
                scopes.any(|scope| scope.as_ref() == Some(namespace))
            };
            self.watches.scopes().any(Option::is_none)
                || (entry.spec.allowed_namespaces.from == NamespacesFrom::Same
                    && is_watched(&entry.namespace))
        };
        let is_ours = |entry: &AccountEntry| {
            sees_all(entry) && entry.managed_by.as_ref() == Some(&self.this_operator)
        };
        directory.sharing(key) == Sharing::Exclusive
            && directory.all_accounts(key, is_ours)
            && directory.hold_message(key).is_none()
    }

    /// Makes at most one call about a late instance on record. Returns when to look again, if not at the next list.
    pub(super) async fn carry_out_late(
        &self,
        me: &ObjectKey,
        account: &CortecsAccount,
    ) -> Option<Duration> {
        let plan = self.plan_late(me, clock::wall());
        let is_busy = |act: Act| matches!(act, Act::List(_) | Act::Stop | Act::Delete | Act::End);
        let fleet = plan.fleet.as_ref();
        let busy = fleet.filter(|_| plan.acts.iter().any(|(_, act)| is_busy(*act)));
        self.directory
            .set_busy(&in_queues(me), busy.map(|fleet| fleet.key()));
        let fleet = fleet?;
        let calls = self.directory.late(fleet.key()).calls;
        let mut waits = None;
        for (record, act) in &plan.acts {
            match act {
                Act::List(after) => fleet.request_list_after(*after),
                Act::Stop | Act::Delete if calls.may_call(&record.id, clock::moment()) => {
                    return Some(self.call_about(fleet, me, account, record, *act).await);
                }
                Act::Stop | Act::Delete => waits = Some(PAUSE),
                Act::Rest if record.end_time.is_some() => {
                    let forget = |late: &mut Late| late.calls.forget(&record.id);
                    self.directory.change_late(fleet.key(), forget);
                }
                Act::Rest | Act::End | Act::Forget => {}
            }
        }
        waits
    }

    async fn call_about(
        &self,
        fleet: &Fleet,
        me: &ObjectKey,
        account: &CortecsAccount,
        record: &LateInstance,
        act: Act,
    ) -> Duration {
        let turns = fleet.turns();
        let client = fleet.client();
        let token = client.verify_credentials().await;
        // The token may have taken long.
        if !self.leadership.may_act() || turns.are_paused() {
            return PAUSE;
        }
        let is_delete = act == Act::Delete;
        let turn = turns.take(&in_queues(me));
        let result = match (token, is_delete) {
            (Err(error), _) => Err(error),
            (Ok(()), true) => client.delete_instance(&record.id).await,
            (Ok(()), false) => client.stop_instance(&record.id).await.map(drop),
        };
        drop(turn);
        turns.record_call(&result);
        let now = clock::moment();
        self.directory.change_late(fleet.key(), |late| {
            late.calls.end(&record.id, now, fastrand::f64());
            if is_delete && result.is_ok() {
                late.calls.confirm(&record.id);
            }
        });
        fleet.request_list_after(now);
        match result {
            Ok(()) => self.tell_late(account, record, is_delete).await,
            Err(error) => {
                tracing::warn!(instanceId = record.id, %error, "a late instance could not be removed");
            }
        }
        Duration::ZERO
    }

    /// Publishes an act on a late instance as an event of the account, and of the resource if it is still there.
    async fn tell_late(&self, account: &CortecsAccount, record: &LateInstance, is_delete: bool) {
        let event = event(record, is_delete);
        tracing::warn!(instanceId = record.id, "{}", event.note);
        let key = ObjectKey::new(&record.of.namespace, &record.of.name);
        let mut resource: Option<Arc<CortecsInstance>> = None;
        self.claims.with_book(&mut |book| {
            resource = book.get(&key).map(|entry| Arc::clone(&entry.resource));
        });
        self.events.publish(account, vec![event.clone()]).await;
        if let Some(resource) = resource {
            self.events.publish(&*resource, vec![event]).await;
        }
    }

    /// No list is needed any more for late instances of this account.
    pub(super) fn rest_from_late(&self, account: &ObjectKey) {
        self.directory.set_busy(&in_queues(account), None);
    }
}

/// The name of the account's calls among the calls of resources: no resource can have it.
fn in_queues(account: &ObjectKey) -> ObjectKey {
    ObjectKey::new(&account.namespace, format!("{}/late", account.name))
}
