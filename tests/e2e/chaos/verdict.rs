//! Checks that the instances, the resources and what people asked for agree.

use std::collections::{BTreeMap, BTreeSet};

use cortecs_api::types::{Instance, InstanceState};
use cortecs_resources::{CortecsInstance, instance::DeletionPolicy};
use cortecs_simulator::{Endpoint, RequestRecord};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    left::{Args, History, Left, args_of, left_behind, left_open},
    people::Actions,
    plan::Wish,
    processes::{DEADLINE, Sleep},
    tally::Tally,
};
use crate::harness::{
    Bed, CLIENT_ID, Key, Read, bound, running, stalled_because, stopped, version_of,
};

/// The differences at one moment.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) duplicates: Vec<String>,
    pub(super) leaks: Vec<String>,
    pub(super) stuck: Vec<String>,
    pub(super) left_stopped: u64,
    pub(super) left_orphaned: u64,
    pub(super) unresolved: u64,
}

impl Now {
    pub(super) fn is_settled(&self) -> bool {
        self.duplicates.is_empty() && self.leaks.is_empty() && self.stuck.is_empty()
    }

    /// Compares the instances and the resources with what people asked for.
    pub(super) async fn look(bed: &Bed, actions: &Actions) -> Self {
        let resources = bed.resources().await;
        let existing: BTreeMap<String, Instance> = bed
            .api
            .instances(CLIENT_ID)
            .into_iter()
            .map(|instance| (instance.instance_id.clone(), instance))
            .collect();
        let mut now = Self::default();
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for resource in &resources {
            let (id, name) = (
                bound(resource),
                resource.metadata.name.as_deref().unwrap_or_default(),
            );
            if !id.is_empty()
                && let Some(other) = owners.insert(id, name)
            {
                now.duplicates
                    .push(format!("{name} and {other} both have {id}"));
            }
            now.unresolved += u64::from(stalled_because::<CortecsInstance>("StartUnresolved")(
                resource,
            ));
            if !actions.wishes.iter().any(|wish| wish.name == name) {
                now.stuck
                    .push(format!("{name} is still being deleted: {}", says(resource)));
            }
        }
        for wish in &actions.wishes {
            match resources
                .iter()
                .find(|resource| resource.name_any() == wish.name)
            {
                None => now.stuck.push(format!("{} is not there", wish.name)),
                Some(resource) => {
                    if let Some(why) = unfulfilled(wish, resource, existing.get(bound(resource))) {
                        now.stuck
                            .push(format!("{} {why}: {}", wish.name, says(resource)));
                    }
                }
            }
        }
        let history = bed.instances.history();
        let left = left_behind(&history, actions);
        let mut open = left_open(&history, actions);
        for (id, instance) in &existing {
            if owners.contains_key(id.as_str()) {
                continue;
            }
            let state = &instance.instance_status.status;
            let made = open
                .iter()
                .position(|args| *args == args_of(&instance.instance_args));
            match left.get(id) {
                None if made.is_some() => {
                    open.swap_remove(made.unwrap_or_default());
                    now.left_orphaned += 1;
                }
                Some(left) if left.policy == DeletionPolicy::Orphan => now.left_orphaned += 1,
                Some(_) if *state == InstanceState::Stopped => now.left_stopped += 1,
                Some(left) => now
                    .leaks
                    .push(format!("{id}, left by {}, is {state:?}", left.by)),
                None => now.leaks.push(format!(
                    "{id} of {} is {state:?} and unmanaged",
                    instance.instance_args.model_id
                )),
            }
        }
        for (id, left) in &left {
            if !left.may_be_replaced && !existing.contains_key(id) {
                now.stuck.push(format!(
                    "{} was to leave {id} behind, but it is gone",
                    left.by
                ));
            }
        }
        now
    }
}

fn unfulfilled(
    wish: &Wish,
    resource: &CortecsInstance,
    instance: Option<&Instance>,
) -> Option<String> {
    let status = resource.status.as_ref();
    if status.is_some_and(|s| s.slot().start.is_some() || s.slot().restart.is_some()) {
        return Some("has an open start or restart".to_owned());
    }
    let state = instance.map(|instance| &instance.instance_status.status);
    let wanted = match wish.running {
        true => running(resource) && state == Some(&InstanceState::Running),
        false => {
            let absent = instance.is_none() && bound(resource).is_empty();
            stopped(resource) && (absent || state == Some(&InstanceState::Stopped))
        }
    };
    if !wanted {
        let asked = if wish.running { "running" } else { "stopped" };
        return Some(format!("should be {asked}, its instance is {state:?}"));
    }
    let args = &instance?.instance_args;
    let agrees = args.model_id == wish.model_id()
        && args.num_workers == Some(wish.workers)
        && args
            .billing_interval
            .as_ref()
            .is_some_and(|b| b.as_str() == wish.billing());
    // A stopped instance is replaced when the resource is next asked to run.
    (wish.running && !agrees).then(|| format!("should be {wish:?}, is {args:?}"))
}

fn says(resource: &CortecsInstance) -> String {
    let conditions = resource.conditions().iter();
    let conditions: Vec<String> = conditions
        .filter(|c| c.status == "True" || c.type_ == "Ready")
        .map(|c| format!("{}={} {} ({})", c.type_, c.status, c.reason, c.message))
        .collect();
    conditions.join("; ")
}

/// Checks the histories of the whole run.
pub(super) fn judge(
    bed: &Bed,
    actions: &Actions,
    requests: &[RequestRecord],
    sleeps: &[Sleep],
    tally: &mut Tally,
) {
    let history = bed.instances.history();
    shared_ids(bed, &history, tally);
    taken(&history, &left_behind(&history, actions), tally);
    repeated_starts(&history, requests, tally);
    for sleep in sleeps {
        let acted = requests.iter().filter(|request| {
            request.token.is_some_and(|token| token <= sleep.token)
                && request.at > sleep.from
                && changes(request.endpoint)
        });
        // Each decision before the pause excuses one call.
        let mut explained = BTreeSet::new();
        for request in acted {
            if was_on_its_way(sleep, request, &mut explained) {
                tally.late += 1;
                continue;
            }
            let (number, path) = (request.sequence, &request.path);
            tally.wrong(format!(
                "{} acted after its deadline: request {number} {path}",
                sleep.process
            ));
        }
    }
    let voided = history.values().flatten().filter_map(|r| r.status.as_ref());
    let voided: BTreeSet<_> = voided
        .flat_map(|s| s.journal.voided_starts.iter().map(|v| v.id))
        .collect();
    tally.voided = voided.len() as u64;
    tally.requests = requests.len() as u64;
    tally.restarts = bed.api.count(Endpoint::Restart);
    tally.started = bed.ever().len() as u64;
}

/// Whether the process decided on the call right before its pause. A process that checks its Lease in time can still send the
/// call late, since the check and the call are two steps.
fn was_on_its_way(sleep: &Sleep, request: &RequestRecord, explained: &mut BTreeSet<usize>) -> bool {
    let log = std::fs::read_to_string(&sleep.log).unwrap_or_default();
    let id = request
        .body
        .as_ref()
        .and_then(|body| body["instance_id"].as_str());
    let id = id.or_else(|| request.path.strip_prefix("/instances/"));
    let id = id
        .filter(|_| request.endpoint != Endpoint::Start)
        .unwrap_or_default();
    let step = format!("step=Call({:?} {{", request.endpoint);
    let paused = sleep.from - DEADLINE;
    let decided = log.lines().enumerate().find(|(number, line)| {
        let at: Option<Timestamp> = line.split(' ').next().and_then(|at| at.parse().ok());
        line.contains(&step)
            && line.contains(id)
            && at.is_some_and(|at| at <= paused && at > paused - DEADLINE)
            && !explained.contains(number)
    });
    decided.is_some_and(|(number, _)| explained.insert(number))
}

fn changes(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::Start
            | Endpoint::Restart
            | Endpoint::Stop
            | Endpoint::StopAll
            | Endpoint::Delete
            | Endpoint::DeleteAll
    )
}

/// At each resourceVersion, no two resources may be bound to the same instance. The versions of all resources are in one order.
fn shared_ids(bed: &Bed, history: &History, tally: &mut Tally) {
    let mut events: Vec<(u64, &Key, &str)> = Vec::new();
    for (key, versions) in history {
        events.extend(
            versions
                .iter()
                .map(|version| (version_of(&**version), key, bound(version))),
        );
        if bed.instances.latest(key).is_none()
            && let Some(went) = bed.instances.newest().get(key)
        {
            events.push((*went, key, ""));
        }
    }
    events.sort();
    let mut has: BTreeMap<&Key, &str> = BTreeMap::new();
    for (version, key, id) in events {
        if has.insert(key, id) == Some(id) || id.is_empty() {
            continue;
        }
        let others = has
            .iter()
            .filter(|(other, had)| **other != key && **had == id);
        for (other, _) in others {
            let both = format!(
                "{id} is both {}'s and {}'s at version {version}",
                other.1, key.1
            );
            tally.duplicates.push(both);
        }
    }
}

/// What a resource has left behind is nobody else's: nobody adopts here.
fn taken(history: &History, left: &BTreeMap<String, Left>, tally: &mut Tally) {
    for ((_, name), versions) in history {
        let ids: BTreeSet<&str> = versions.iter().map(|version| bound(version)).collect();
        for id in ids {
            if let Some(left) = left.get(id).filter(|left| left.by != *name) {
                let by = &left.by;
                let taken = format!("{id}, which {by} was to leave behind, was {name}'s");
                tally.duplicates.push(taken);
            }
        }
    }
}

/// For each start that the API got, a status with its own start id must have been written before. The API did not look at
/// starts with an invalid token.
fn repeated_starts(history: &History, requests: &[RequestRecord], tally: &mut Tally) {
    let mut balance: BTreeMap<Args, (BTreeSet<String>, u64)> = BTreeMap::new();
    for version in history.values().flatten() {
        let Some(start) = version
            .status
            .as_ref()
            .and_then(|s| s.slot().start.as_ref())
        else {
            continue;
        };
        let args = &start.args;
        let billing = args.billing_interval.clone().unwrap_or_default();
        let entry = balance
            .entry((args.model_id.clone(), args.num_workers, billing))
            .or_default();
        entry.0.insert(start.id.to_string());
    }
    for request in requests
        .iter()
        .filter(|r| r.endpoint == Endpoint::Start && r.status != Some(401))
    {
        let Some(body) = &request.body else { continue };
        let word = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let key = (
            word("model_id"),
            body["num_workers"].as_i64(),
            word("billing_interval"),
        );
        balance.entry(key).or_default().1 += 1;
    }
    for ((model, workers, billing), (intents, asked)) in balance {
        let intents = intents.len() as u64;
        tally.intents += intents;
        tally.asked += asked;
        if asked > intents {
            tally.duplicates.push(format!(
                "{asked} starts of {model} with {workers:?} workers, billed {billing}, but only {intents} were written ahead"
            ));
        }
    }
}
