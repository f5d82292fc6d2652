//! `lateStartPolicy: Delete`: which instances are certainly the late outcome of a start that was given up, and what is done about them.
//! Pure.
//!
//! An instance has no name, so the evidence is what this process has seen: a list shows an instance that no earlier list of this process
//! has shown, while a void start with exactly these arguments was on record, no open start could have made it, and no resource claimed it.
//! What was there when the process began, or came up while a start was open, is never touched. So neither is what a restored
//! backup knows nothing of. What is to be deleted is recorded first: a later process goes by the record.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_clock::{Backoff, Moment};
use cortecs_resources::{
    conditions::whole_seconds,
    journal::{VOIDED_START_HOURS, VoidedStart},
    key::ObjectKey,
    unmanaged::{LateInstance, MAX_LATE, ResourceName},
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::{
    event::EventText,
    facts::{
        args, fleet_key::FleetKey, home::is_in, known::is_known_to_voided, snapshot::Snapshot,
    },
    ledger::{book::Book, unlisted},
};

/// Most instances of which it is remembered that a list has shown them. Beyond, nothing is certain any more.
const MOST: usize = 50_000;

/// Whether the list lacks no instance of a resource, so that it may be believed.
pub fn is_complete(
    book: &Book,
    fleet: &FleetKey,
    list: &Snapshot,
    now: Moment,
    settle: Duration,
) -> bool {
    let mut missing = unlisted::missing(book, fleet, list, now, settle);
    missing.next().is_none()
}

/// What is known when a list is looked at.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub book: &'a Book,
    pub fleet: &'a FleetKey,
    pub list: &'a Snapshot,
    /// The list lacks no instance that the API finds.
    pub is_complete: bool,
    pub wall: Timestamp,
}

/// What the lists of this process have shown.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Every instance that a list has shown.
    shown: BTreeSet<String>,
    /// The void starts that were on record at the last list; `None` before the first one.
    starts: Option<BTreeSet<Uuid>>,
    /// The instances that came up as the late outcome of a void start does, and that nobody has claimed since.
    fresh: BTreeSet<String>,
}

impl Watch {
    /// Takes note of a list.
    pub fn note(&mut self, scene: &Scene<'_>) {
        let voided = voided(scene);
        let before = self.starts.take();
        let is_certain = scene.is_complete && self.shown.len() < MOST;
        let known: Vec<_> = voided
            .iter()
            .filter(|v| before.as_ref().is_some_and(|b| b.contains(&v.start.id)))
            .collect();
        for (id, instance) in &scene.list.instances {
            let is_new = !self.shown.contains(id) && self.shown.len() < MOST;
            if is_new {
                self.shown.insert(id.clone());
            }
            let is_outcome = || known.iter().any(|v| v.has_made(id, instance));
            if is_new && is_certain && is_free(scene, id, instance) && is_outcome() {
                self.fresh.insert(id.clone());
            }
        }
        let api_url = &scene.fleet.api_url;
        self.fresh.retain(|id| {
            scene.list.instances.contains_key(id) && !scene.book.is_claimed(api_url, id)
        });
        self.starts = Some(voided.iter().map(|v| v.start.id).collect());
    }

    /// The instances to delete that are not on record yet. `me`: the account through which their starts were made.
    pub fn found(
        &self,
        scene: &Scene<'_>,
        me: &ObjectKey,
        records: &[LateInstance],
    ) -> Vec<LateInstance> {
        let mut found: Vec<LateInstance> = Vec::new();
        if !scene.is_complete {
            return found;
        }
        for voided in voided(scene) {
            let on_record = |r: &LateInstance| r.start == voided.start.id;
            if !voided.is_of(me)
                || records.iter().chain(&found).any(on_record)
                || records.len() + found.len() >= MAX_LATE
            {
                continue;
            }
            let taken = |id: &str| records.iter().chain(&found).any(|r| r.id == id);
            // A start makes one instance: of several that it may have made, none is certain.
            let mut likely = scene.list.instances.iter().filter(|(id, instance)| {
                voided.may_have_made(id, instance)
                    && !taken(id)
                    && !scene.book.is_claimed(&scene.fleet.api_url, id)
            });
            let (Some((id, instance)), None) = (likely.next(), likely.next()) else {
                continue;
            };
            if self.fresh.contains(id)
                && voided.has_made(id, instance)
                && is_free(scene, id, instance)
            {
                found.push(LateInstance {
                    id: id.clone(),
                    start: voided.start.id,
                    of: ResourceName {
                        namespace: voided.key.namespace.clone(),
                        name: voided.key.name.clone(),
                    },
                    voided_at: voided.start.voided_at,
                    end_time: None,
                });
            }
        }
        found
    }
}

/// A start that was given up less than a day ago.
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
        let started = started.map(|at| at.parse::<Timestamp>());
        // A time that cannot be read proves nothing.
        let is_later = started.is_none_or(|at| at.is_ok_and(|at| at >= self.start.requested_at));
        let is_sure = !self.start.any_model && !self.start.incomplete_list;
        is_sure
            && is_later
            && args::states_exactly(&self.wanted, &instance.instance_args)
            && !is_known_to_voided(self.start, id)
    }
}

/// The void starts of the fleet, the oldest first.
fn voided<'a>(scene: &Scene<'a>) -> Vec<Voided<'a>> {
    let mut voided: Vec<_> = scene
        .book
        .iter()
        .flat_map(|(key, entry)| {
            let status = entry.resource.status.as_ref();
            let starts = status.map_or(&[][..], |s| &s.journal.voided_starts);
            starts.iter().map(move |start| Voided {
                key,
                start,
                wanted: args::of_record(&start.args),
            })
        })
        .filter(|v| {
            let home = v.start.account.as_ref();
            home.is_some_and(|home| is_in(home, scene.fleet))
                && is_recent(v.start.voided_at, scene.wall)
        })
        .collect();
    voided.sort_by_key(|v| (v.start.requested_at, v.start.id));
    voided
}

fn is_recent(voided_at: Timestamp, wall: Timestamp) -> bool {
    wall.duration_since(voided_at) < SignedDuration::from_hours(VOIDED_START_HOURS)
}

/// Whether no resource claims the instance, and no start that is open or being written may have made it.
fn is_free(scene: &Scene<'_>, id: &str, instance: &Instance) -> bool {
    let (book, api_url) = (scene.book, &scene.fleet.api_url);
    // No resource has this name, so no resource is left out.
    let nobody = ObjectKey::new("", "");
    let open = book
        .open_starts(api_url, &nobody)
        .chain(book.starts_being_written(api_url, &nobody, Moment::default()));
    let mut alike = open.filter(|open| {
        let asked = args::of_record(&open.intent.args);
        open.intent.any_model || args::may_look_alike(&asked, &instance.instance_args)
    });
    !book.is_claimed(api_url, id) && alike.next().is_none()
}

/// What is done next about an instance on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nothing before something changes.
    Rest,
    /// A list that begins after this moment tells.
    List(Moment),
    Stop,
    Delete,
    /// It is gone.
    End,
    /// A resource has taken it over: it is nobody's late outcome any more.
    Forget,
}

/// The next step.
pub fn act(record: &LateInstance, scene: &Scene<'_>, calls: &Calls) -> Act {
    if record.end_time.is_some() {
        return Act::Rest;
    }
    if scene.book.is_claimed(&scene.fleet.api_url, &record.id) {
        return Act::Forget;
    }
    if calls.deleted.contains(&record.id) {
        return Act::End;
    }
    let called = calls.ended(&record.id).unwrap_or_default();
    if scene.list.requested_at <= called {
        return Act::List(called);
    }
    match scene.list.instances.get(&record.id) {
        None if scene.is_complete => Act::End,
        None => Act::Rest,
        Some(instance) if !is_free(scene, &record.id, instance) => Act::Rest,
        Some(instance) if instance.is_stopped() => Act::Delete,
        Some(_) => Act::Stop,
    }
}

/// The calls about late instances that this process has made: when the last one ended, and when the next one may be made.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    last: BTreeMap<String, Call>,
    /// The API has confirmed that they are deleted.
    deleted: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    ended: Moment,
    retry_at: Moment,
    count: u32,
}

impl Calls {
    pub fn ended(&self, id: &str) -> Option<Moment> {
        self.last.get(id).map(|call| call.ended)
    }

    pub fn may_call(&self, id: &str, now: Moment) -> bool {
        self.last.get(id).is_none_or(|call| now >= call.retry_at)
    }

    /// The API has confirmed that the instance is deleted.
    pub fn confirm(&mut self, id: &str) {
        self.deleted.insert(id.to_owned());
    }

    /// A call about the instance has ended. `random` is a fraction of [0, 1).
    pub fn end(&mut self, id: &str, now: Moment, random: f64) {
        let mut backoff = Backoff::after(self.last.get(id).map_or(0, |call| call.count));
        let call = Call {
            ended: now,
            retry_at: now.after(backoff.next(random, None)),
            count: backoff.failures(),
        };
        self.last.insert(id.to_owned(), call);
    }

    /// Forgets an instance whose end is on record.
    pub fn forget(&mut self, id: &str) {
        self.last.remove(id);
        self.deleted.remove(id);
    }
}

/// What this process has seen and done about late outcomes in a fleet.
#[derive(Clone, Debug, Default)]
pub struct Late {
    pub watch: Arc<Watch>,
    pub calls: Calls,
}

/// The records as the status should have them: those of the last day, those that were found, and without those that a resource has taken
/// over.
pub fn next_records(
    records: &[LateInstance],
    found: Vec<LateInstance>,
    acts: &[(String, Act)],
    wall: Timestamp,
) -> Vec<LateInstance> {
    let does = |r: &LateInstance, act: Act| acts.iter().any(|(id, a)| *id == r.id && *a == act);
    let kept = records.iter().filter(|record| {
        let is_over = record.end_time.is_some() && !is_recent(record.voided_at, wall);
        !is_over && !does(record, Act::Forget)
    });
    let mut next: Vec<_> = kept.cloned().chain(found).take(MAX_LATE).collect();
    for record in &mut next {
        if does(record, Act::End) {
            record.end_time = Some(whole_seconds(wall).0);
        }
    }
    next
}

/// The event of a call about a late instance, for its account and for the resource.
pub fn event(record: &LateInstance, is_delete: bool) -> EventText {
    let (reason, done) = match is_delete {
        true => ("LateInstanceDeleted", "deleted"),
        false => ("LateInstanceStopped", "stopped"),
    };
    EventText {
        warning: true,
        reason: reason.to_owned(),
        note: format!(
            "instance {} was {done}: it is the late outcome of a start of {}/{} that was given up, and lateStartPolicy is Delete",
            record.id, record.of.namespace, record.of.name
        ),
    }
}

#[cfg(test)]
#[path = "late_starts_tests.rs"]
mod tests;
