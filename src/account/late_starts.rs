//! The calls that `lateStartPolicy: Delete` orders.

use std::{sync::Arc, time::Duration};

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsAccount, CortecsInstance,
    account::{Adoption, Sharing},
    key::ObjectKey,
    unmanaged::LateStartPolicy,
};
use cortecs_rules::{
    account::late_starts::{Act, Call, Order, Scene, event},
    facts::account_entry::AccountEntry,
};

use super::context::{AccountController, in_queues};
use crate::fleet::{allowed_namespaces::sees_all_users, poll::Fleet};

/// The name of these calls.
const LATE: &str = "late";
/// How soon to look again while no call may be made.
const PAUSE: Duration = Duration::from_secs(1);

impl AccountController {
    /// What is to be done about late outcomes of the account's starts, by the newest list.
    fn late_orders(&self, me: &ObjectKey, fleet: &Fleet) -> Vec<Order> {
        let Self {
            directory, claims, ..
        } = self;
        let may_act = claims.synced() && directory.synced() && self.is_certain(fleet);
        let Some(list) = fleet.newest_snapshot().filter(|_| may_act) else {
            return Vec::new();
        };
        let late = directory.late(fleet.key());
        let mut orders = Vec::new();
        claims.with_book(&mut |book| {
            let scene = Scene {
                book,
                fleet: fleet.key(),
                list: &list,
                is_trusted: true,
                settle: claims.settle(),
                wall: clock::wall(),
            };
            orders = late.orders(&scene, me);
        });
        orders
    }

    /// Whether only this operator starts instances in the fleet and nobody adopts any, it sees all that may, and lists are believed.
    fn is_certain(&self, fleet: &Fleet) -> bool {
        let (directory, key) = (&self.directory, fleet.key());
        let is_ours = |entry: &AccountEntry| {
            entry.spec.sharing == Sharing::Exclusive
                && entry.spec.adoption == Adoption::None
                && sees_all_users(&self.namespaces, entry)
                && entry.managed_by.as_ref() == Some(&self.this_operator)
        };
        directory.all_accounts(key, is_ours)
            && directory.hold_message(key).is_none()
            && directory.trip(key).is_none()
    }

    /// Makes at most one call about a late instance. Returns when to look again, if not at the next list.
    pub(super) async fn carry_out_late(
        &self,
        me: &ObjectKey,
        account: &CortecsAccount,
    ) -> Option<Duration> {
        let entry = self.directory.account(&me.namespace, &me.name);
        let deletes = |entry: &Arc<AccountEntry>| {
            entry.spec.late_start_policy == LateStartPolicy::Delete && !entry.deleting
        };
        let fleet = entry.filter(deletes);
        let fleet = fleet.and_then(|_| self.directory.fleet_of_member(me));
        let orders = fleet.as_ref().map(|fleet| self.late_orders(me, fleet));
        let orders = orders.unwrap_or_default();
        let busy = fleet.as_ref().filter(|_| !orders.is_empty());
        self.directory
            .set_busy(&in_queues(me, LATE), busy.map(|fleet| fleet.key()));
        let fleet = fleet?;
        let mut waits = None;
        for order in &orders {
            let late = self.directory.late(fleet.key());
            match order.act {
                Act::List(after) => fleet.request_list_after(after),
                Act::Tell(call) => {
                    self.directory
                        .change_late(fleet.key(), |late| late.tell(order, call));
                    self.tell_late(account, order, call).await;
                    waits = Some(Duration::ZERO);
                }
                Act::Call(call) if late.may_call(order, clock::moment()) => {
                    return Some(self.call_about(&fleet, me, account, order, call).await);
                }
                Act::Call(_) => waits = waits.or(Some(PAUSE)),
            }
        }
        waits
    }

    async fn call_about(
        &self,
        fleet: &Fleet,
        me: &ObjectKey,
        account: &CortecsAccount,
        order: &Order,
        call: Call,
    ) -> Duration {
        let turns = fleet.turns();
        let client = fleet.client();
        let token = client.verify_credentials().await;
        // The token may have taken long: nothing that it was decided from need be so any more.
        let still_due = || self.late_orders(me, fleet).contains(order);
        if turns.are_paused() || !still_due() || !self.leadership.may_act() {
            return PAUSE;
        }
        let turn = turns.take(&in_queues(me, LATE));
        let result = match (token, call) {
            (Err(error), _) => Err(error),
            (Ok(()), Call::Delete) => client.delete_instance(&order.id).await,
            (Ok(()), Call::Stop) => client.stop_instance(&order.id).await.map(drop),
        };
        drop(turn);
        turns.record_call(&result);
        let now = clock::moment();
        let mut is_news = false;
        self.directory.change_late(fleet.key(), |late| {
            is_news = late.end(order, call, result.is_ok(), now, fastrand::f64());
        });
        fleet.request_list_after(now);
        if let Err(error) = result
            && !error.is_accepted()
        {
            tracing::warn!(instanceId = order.id, %error, "a late instance could not be removed");
        }
        if is_news {
            self.tell_late(account, order, call).await;
        }
        Duration::ZERO
    }

    /// Publishes a call about a late instance as an event of the account, and of the resource if it is still there.
    async fn tell_late(&self, account: &CortecsAccount, order: &Order, call: Call) {
        let event = event(order, call);
        tracing::warn!(instanceId = order.id, "{}", event.note);
        let mut resource: Option<Arc<CortecsInstance>> = None;
        self.claims.with_book(&mut |book| {
            resource = book.get(&order.of).map(|entry| Arc::clone(&entry.resource));
        });
        self.events.publish(account, vec![event.clone()]).await;
        if let Some(resource) = resource {
            self.events.publish(&*resource, vec![event]).await;
        }
    }

    /// No list is needed any more for late instances of this account.
    pub(super) fn rest_from_late(&self, account: &ObjectKey) {
        self.directory.set_busy(&in_queues(account, LATE), None);
    }
}
