//! What resources leave behind on purpose, and the questions that a person answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cortecs_api::types::InstanceArgs;
use cortecs_resources::{CortecsInstance, annotations::RESOLVE_START, instance::DeletionPolicy};
use kube::ResourceExt;

use super::people::Actions;
use crate::harness::{Bed, CLIENT_ID, Key, bound, stalled_because};

/// Versions of each resource, oldest first.
pub(super) type History = BTreeMap<Key, Vec<Arc<CortecsInstance>>>;

/// The arguments in which the resources differ: model, workers, billing.
pub(super) type Args = (String, Option<i64>, String);

/// An instance that a deleted resource has left.
pub(super) struct Left {
    pub(super) by: String,
    pub(super) policy: DeletionPolicy,
    /// The resource's arguments were changed at some time. If it was deleted while its instance was being replaced, there may be
    /// no instance.
    pub(super) may_be_replaced: bool,
}

/// The instances that deleted resources have left, by id.
pub(super) fn left_behind(history: &History, actions: &Actions) -> BTreeMap<String, Left> {
    let present: BTreeSet<&str> = actions
        .wishes
        .iter()
        .map(|wish| wish.name.as_str())
        .collect();
    let gone = history
        .iter()
        .filter(|((_, name), _)| !present.contains(name.as_str()));
    gone.filter_map(|((_, name), versions)| {
        let policy = *actions.policies.get(name)?;
        let leaves = policy != DeletionPolicy::Delete;
        let id = bound(versions.last().filter(|_| leaves)?);
        let args = |r: &CortecsInstance| (r.spec.num_workers, r.spec.billing_interval);
        let left = Left {
            by: name.clone(),
            policy,
            may_be_replaced: versions.windows(2).any(|v| args(&v[0]) != args(&v[1])),
        };
        (!id.is_empty()).then(|| (id.to_owned(), left))
    })
    .collect()
}

/// The arguments of the starts that were open when a resource that leaves its instance as it is was deleted. With an account that
/// cannot be used, what such a start has made is left too.
pub(super) fn left_open(history: &History, actions: &Actions) -> Vec<Args> {
    let is_gone = |name: &str| !actions.wishes.iter().any(|wish| wish.name == name);
    let gone = history.iter().filter(|((_, name), _)| is_gone(name));
    let orphans =
        gone.filter(|((_, name), _)| actions.policies.get(name) == Some(&DeletionPolicy::Orphan));
    let starts = orphans.filter_map(|(_, versions)| {
        let status = versions.last()?.status.as_ref()?;
        Some(&status.slot().start.as_ref()?.args)
    });
    let args = starts.map(|args| {
        let billing = args.billing_interval.clone().unwrap_or_default();
        (args.model_id.clone(), args.num_workers, billing)
    });
    args.collect()
}

pub(super) fn args_of(args: &InstanceArgs) -> Args {
    let billing = args
        .billing_interval
        .as_ref()
        .map(|b| b.as_str().to_owned());
    (
        args.model_id.clone(),
        args.num_workers.map(i64::from),
        billing.unwrap_or_default(),
    )
}

/// A person answers the starts that only a person can resolve, and knows what they have made. How many were answered.
pub(super) async fn answer_questions(bed: &Bed) -> u64 {
    let resources = bed.resources().await;
    let owned: BTreeSet<String> = resources.iter().map(|r| bound(r).to_owned()).collect();
    let mut taken = owned;
    let mut answered = 0;
    for resource in &resources {
        let status = resource.status.as_ref();
        let start = status.and_then(|s| s.slot().start.as_ref());
        let asks = stalled_because::<CortecsInstance>("StartUnresolved")(resource);
        let Some(start) = start.filter(|_| asks) else {
            continue;
        };
        let billing = start.args.billing_interval.clone().unwrap_or_default();
        let wanted = (start.args.model_id.clone(), start.args.num_workers, billing);
        let instances = bed.api.instances(CLIENT_ID);
        let made = instances.iter().find(|instance| {
            let is_candidate = start.candidate_ids.contains(&instance.instance_id);
            let is_free = !taken.contains(&instance.instance_id);
            is_candidate && is_free && args_of(&instance.instance_args) == wanted
        });
        let answer = made.map_or("none", |instance| &instance.instance_id);
        let annotations = resource.annotations();
        if annotations.get(RESOLVE_START).map(String::as_str) != Some(answer) {
            taken.insert(answer.to_owned());
            bed.annotate(&resource.name_any(), RESOLVE_START, answer)
                .await;
            answered += 1;
        }
    }
    answered
}
