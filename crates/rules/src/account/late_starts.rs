//! `lateStartPolicy: Delete`: which instances are certainly the late outcome of a start that was given up, and what is done about them.
//! Pure.
//!
//! An instance has no name, so only what this process has seen itself is evidence: it has made the start and given it up, and after that an
//! instance with exactly these arguments came up in its lists. What a journal, a backup or another process knows counts for nothing, and
//! nothing is recorded: a later process deletes nothing because of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_clock::{Backoff, Moment};
use cortecs_resources::{journal::VoidedStart, key::ObjectKey};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{
    event::EventText,
    facts::{
        args,
        fleet_key::FleetKey,
        home::is_in,
        known::{is_known_to, is_known_to_voided},
        snapshot::Snapshot,
    },
    ledger::{book::Book, unlisted::is_complete},
};

/// Most instances of which it is remembered that a list has shown them. Beyond, nothing is certain any more.
const MOST: usize = 50_000;
/// Most instances that are remembered as possible outcomes of one start. Of more than one, none is certain.
const MOST_CAME: usize = 8;

/// What is known when a list is looked at.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub book: &'a Book,
    pub fleet: &'a FleetKey,
    pub list: &'a Snapshot,
    /// The list is not withheld, and the fleet is not on hold.
    pub is_trusted: bool,
    /// How long lists may lag.
    pub settle: Duration,
    pub wall: Timestamp,
}

/// What the lists of this process have shown.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// When the first list began. For the settle time after that it is not known what was there before.
    began: Option<Moment>,
    /// Every instance that a list has shown.
    shown: BTreeSet<String>,
    /// The starts that had been given up at the last list.
    starts: BTreeSet<Uuid>,
    /// By start, the instances that came up after it was given up and that it may have made, and whether that is certain of each.
    came: BTreeMap<Uuid, BTreeMap<String, bool>>,
}

impl Watch {
    /// Takes note of a list, also of one that is withheld.
    pub fn note(&mut self, scene: &Scene<'_>) {
        let list = scene.list;
        let began = *self.began.get_or_insert(list.requested_at);
        let voided = voided(scene);
        let is_certain = scene.is_trusted
            && list.requested_at >= began.after(scene.settle)
            && is_complete(scene.book, scene.fleet, list);
        for (id, instance) in &list.instances {
            if self.shown.contains(id) || self.shown.len() >= MOST {
                continue;
            }
            self.shown.insert(id.clone());
            if is_claimed(scene, id) {
                continue;
            }
            for start in voided.iter().filter(|v| v.may_have_made(id, instance)) {
                let came = self.came.entry(start.start.id).or_default();
                // What it says of itself is looked at before each call: at first it may not say all.
                let is_outcome = is_certain
                    && self.starts.contains(&start.start.id)
                    && is_free(scene, id, instance);
                if came.len() < MOST_CAME {
                    came.insert(id.clone(), is_outcome);
                }
            }
        }
        self.starts = voided.iter().map(|v| v.start.id).collect();
        let Self { came, starts, .. } = self;
        came.retain(|start, _| starts.contains(start));
        for came in came.values_mut() {
            came.retain(|id, _| !is_claimed(scene, id));
        }
    }

    /// Whether an instance came up that a start may have made.
    fn is_empty(&self) -> bool {
        self.came.values().all(BTreeMap::is_empty)
    }

    /// The instance that is certainly the start's, as the list shows it. Of several that the start may have made, none is.
    fn outcome<'a>(
        &self,
        scene: &Scene<'a>,
        start: &Voided<'_>,
    ) -> Option<(&'a String, &'a Instance)> {
        if !scene.is_trusted
            || self.shown.len() >= MOST
            || !is_complete(scene.book, scene.fleet, scene.list)
        {
            return None;
        }
        let came = self.came.get(&start.start.id)?;
        let mut likely =
            scene.list.instances.iter().filter(|(id, instance)| {
                start.may_have_made(id, instance) && !is_claimed(scene, id)
            });
        let (Some((id, instance)), None) = (likely.next(), likely.next()) else {
            return None;
        };
        let is_certain = came.len() == 1 && came.get(id) == Some(&true);
        (is_certain && is_free(scene, id, instance) && start.has_made(id, instance))
            .then_some((id, instance))
    }
}

/// A start that this process has made, and gave up less than a day ago.
struct Voided<'a> {
    key: &'a ObjectKey,
    start: &'a VoidedStart,
    wanted: InstanceArgs,
}

impl Voided<'_> {
    fn is_of(&self, account: &ObjectKey) -> bool {
        let home = self.start.account.as_ref();
        home.is_some_and(|h| (&h.namespace, &h.name) == (&account.namespace, &account.name))
    }

    fn may_have_made(&self, id: &str, instance: &Instance) -> bool {
        args::may_be(&self.wanted, self.start.any_model, &instance.instance_args)
            && !is_known_to_voided(self.start, id)
    }

    /// Whether the instance is as one that the start has made has to be.
    fn has_made(&self, id: &str, instance: &Instance) -> bool {
        let started = instance.instance_status.started_at.as_deref();
        let started = started.and_then(|at| at.parse::<Timestamp>().ok());
        // A time that is missing or cannot be read proves nothing.
        started.is_some_and(|at| at > self.start.requested_at)
            && args::states_exactly(&self.wanted, &instance.instance_args)
            && self.may_have_made(id, instance)
    }
}

/// The void starts of the fleet that this process has made, the oldest first.
fn voided<'a>(scene: &Scene<'a>) -> Vec<Voided<'a>> {
    let mut voided: Vec<_> = scene
        .book
        .iter()
        .flat_map(|(key, entry)| {
            let status = entry.resource.status.as_ref();
            let starts = status.map_or(&[][..], |s| &s.journal.voided_starts);
            starts.iter().map(move |start| (key, start))
        })
        .filter(|(_, start)| {
            let home = start.account.as_ref();
            scene.book.gave_up(start.id)
                && home.is_some_and(|home| is_in(home, scene.fleet))
                && start.is_recent(scene.wall)
        })
        .map(|(key, start)| Voided {
            key,
            start,
            wanted: args::of_record(&start.args),
        })
        .collect();
    voided.sort_by_key(|v| (v.start.requested_at, v.start.id));
    voided
}

fn is_claimed(scene: &Scene<'_>, id: &str) -> bool {
    scene.book.is_claimed(&scene.fleet.api_url, id)
}

/// Whether no resource has or had to do with the instance, and no start that is open or being written may have made it. A start that knows
/// the instance has not.
fn is_free(scene: &Scene<'_>, id: &str, instance: &Instance) -> bool {
    let (book, api_url) = (scene.book, &scene.fleet.api_url);
    // No resource has this name, so no resource is left out.
    let nobody = ObjectKey::new("", "");
    let open = book
        .open_starts(api_url, &nobody)
        .chain(book.starts_being_written(api_url, &nobody, Moment::default()));
    let mut alike = open.filter(|open| {
        let asked = args::of_record(&open.intent.args);
        let looks_alike = args::may_look_alike(&asked, &instance.instance_args);
        (open.intent.any_model || looks_alike) && !is_known_to(open.intent, id)
    });
    !is_claimed(scene, id) && !book.was_ever_named(id) && alike.next().is_none()
}

/// A call about a late outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Stop,
    Delete,
}

/// What is to be done next about a late outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Call(Call),
    /// A list shows that the call had its effect.
    Tell(Call),
    /// A list that begins after this moment tells.
    List(Moment),
}

/// A late outcome, and what is to be done next about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub act: Act,
    pub id: String,
    /// The start. It makes one instance, so no other one is touched because of it.
    pub start: Uuid,
    /// The resource whose start it was.
    pub of: ObjectKey,
}

/// What this process has seen and done about late outcomes in a fleet. Nothing of it is recorded.
#[derive(Clone, Debug, Default)]
pub struct Late {
    pub watch: Arc<Watch>,
    calls: BTreeMap<Uuid, Calls>,
}

/// The calls about the outcome of one start.
#[derive(Clone, Debug)]
struct Calls {
    id: String,
    ended: Moment,
    retry_at: Moment,
    count: u32,
    made: BTreeSet<Call>,
    told: BTreeSet<Call>,
}

impl Late {
    /// Whether there may be something to do.
    pub fn is_idle(&self) -> bool {
        self.watch.is_empty() && self.calls.is_empty()
    }

    /// What is to be done next about the outcomes of starts that were made through the account `me`.
    pub fn orders(&self, scene: &Scene<'_>, me: &ObjectKey) -> Vec<Order> {
        let of_mine = voided(scene).into_iter().filter(|v| v.is_of(me));
        let order = |start: Voided<'_>| {
            let (id, act) = self.next(scene, &start)?;
            Some(Order {
                act,
                id,
                start: start.start.id,
                of: start.key.clone(),
            })
        };
        of_mine.filter_map(order).collect()
    }

    fn next(&self, scene: &Scene<'_>, start: &Voided<'_>) -> Option<(String, Act)> {
        let calls = self.calls.get(&start.start.id);
        if let Some(calls) = calls {
            let id = calls.id.clone();
            let is_due = |call| calls.made.contains(&call) && !calls.told.contains(&call);
            if calls.told.contains(&Call::Delete) {
                return None;
            }
            if scene.list.requested_at <= calls.ended {
                return Some((id, Act::List(calls.ended)));
            }
            match scene.list.instances.get(&calls.id) {
                None if is_due(Call::Delete)
                    && scene.is_trusted
                    && is_complete(scene.book, scene.fleet, scene.list) =>
                {
                    return Some((id, Act::Tell(Call::Delete)));
                }
                Some(shown) if shown.is_stopped() && is_due(Call::Stop) => {
                    return Some((id, Act::Tell(Call::Stop)));
                }
                _ => {}
            }
        }
        let (id, instance) = self.watch.outcome(scene, start)?;
        let call = match instance.is_stopped() {
            true => Call::Delete,
            false => Call::Stop,
        };
        // What was to be deleted and runs again is of use to someone.
        let is_due = calls.is_none_or(|calls| {
            calls.id == *id && !(call == Call::Stop && calls.made.contains(&Call::Delete))
        });
        is_due.then(|| (id.clone(), Act::Call(call)))
    }

    /// Whether the next call may be made by now.
    pub fn may_call(&self, order: &Order, now: Moment) -> bool {
        let calls = self.calls.get(&order.start);
        calls.is_none_or(|calls| now >= calls.retry_at)
    }

    /// A call has ended. `random` is a fraction of [0, 1). Returns whether the call has to be told now.
    pub fn end(
        &mut self,
        order: &Order,
        call: Call,
        worked: bool,
        now: Moment,
        random: f64,
    ) -> bool {
        let calls = self.calls.entry(order.start).or_insert_with(|| Calls {
            id: order.id.clone(),
            ended: now,
            retry_at: now,
            count: 0,
            made: BTreeSet::new(),
            told: BTreeSet::new(),
        });
        let mut backoff = Backoff::after(calls.count);
        calls.ended = now;
        calls.retry_at = now.after(backoff.next(random, None));
        calls.count = backoff.failures();
        calls.made.insert(call);
        worked && calls.told.insert(call)
    }

    /// Takes note that the call is told.
    pub fn tell(&mut self, order: &Order, call: Call) {
        if let Some(calls) = self.calls.get_mut(&order.start) {
            calls.told.insert(call);
        }
    }

    /// Takes over the watch after a list, and forgets the calls about starts that are not on record any more.
    pub fn noted(&mut self, watch: Arc<Watch>) {
        self.calls.retain(|start, _| watch.starts.contains(start));
        self.watch = watch;
    }
}

/// The event of a call about a late instance, for its account and for the resource.
pub fn event(order: &Order, call: Call) -> EventText {
    let (reason, done) = match call {
        Call::Delete => ("LateInstanceDeleted", "deleted"),
        Call::Stop => ("LateInstanceStopped", "stopped"),
    };
    EventText {
        warning: true,
        reason: reason.to_owned(),
        note: format!(
            "instance {} was {done}: it is the late outcome of a start of {} that was given up, and lateStartPolicy is Delete",
            order.id, order.of
        ),
    }
}

#[cfg(test)]
#[path = "late_starts_tests.rs"]
mod tests;
