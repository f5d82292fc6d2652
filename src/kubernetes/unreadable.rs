//! Objects that cannot be decoded: named in the log once, counted, and told in their status.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use cortecs_clock as clock;
use cortecs_resources::{
    conditions::{READY, RECONCILING, STALLED, remove_condition, set_condition},
    decode::{Decoded, Salvage, Unreadable},
    key::ObjectKey,
    reason::Reason,
};
use cortecs_rules::ledger::book::Scope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::watcher::Event,
};
use serde_json::json;

use super::{
    client::{KubeError, bounded_write},
    scope::{ObjectScope, api},
};
use crate::{mutex::lock, serve::metrics::Metrics};

/// The objects of one controller that cannot be decoded now. Clones share them.
#[derive(Clone)]
pub struct Unreadables {
    controller: &'static str,
    metrics: Metrics,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    objects: BTreeMap<ObjectKey, Arc<Unreadable>>,
    /// Those in the list that a watch currently receives.
    listings: BTreeMap<Scope, BTreeMap<ObjectKey, Arc<Unreadable>>>,
}

impl Unreadables {
    pub fn new(controller: &'static str, metrics: Metrics) -> Self {
        metrics.set_unreadable(controller, 0);
        Self {
            controller,
            metrics,
            known: Arc::default(),
        }
    }

    /// Takes note of an event of the watch of `scope`.
    pub fn note<K: Salvage>(&self, scope: &Scope, event: &Event<Decoded<K>>) {
        let mut known = self.known();
        match event {
            Event::Init => {
                known.listings.insert(scope.clone(), BTreeMap::new());
            }
            Event::InitApply(decoded) => {
                if let Some(problem) = &decoded.problem {
                    let key = ObjectKey::of(decoded);
                    let listing = known.listings.entry(scope.clone()).or_default();
                    listing.insert(key, Arc::clone(problem));
                }
            }
            Event::InitDone => {
                let listed = known.listings.remove(scope).unwrap_or_default();
                let covers = |key: &ObjectKey| {
                    scope
                        .as_ref()
                        .is_none_or(|namespace| *namespace == key.namespace)
                };
                known
                    .objects
                    .retain(|key, _| !covers(key) || listed.contains_key(key));
                for (key, problem) in listed {
                    self.insert(&mut known, key, problem);
                }
            }
            Event::Apply(decoded) => {
                let key = ObjectKey::of(decoded);
                match &decoded.problem {
                    Some(problem) => self.insert(&mut known, key, Arc::clone(problem)),
                    None => drop(known.objects.remove(&key)),
                }
            }
            Event::Delete(decoded) => drop(known.objects.remove(&ObjectKey::of(decoded))),
        }
        self.metrics
            .set_unreadable(self.controller, known.objects.len());
    }

    fn insert(&self, known: &mut Known, key: ObjectKey, problem: Arc<Unreadable>) {
        let before = known.objects.get(&key);
        if before != Some(&problem) {
            tracing::error!(controller = self.controller, object = %key, %problem, "an object cannot be decoded and is left alone");
        }
        known.objects.insert(key, problem);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }
}

/// Writes the conditions that say so, and nothing else, if they are new.
///
/// # Errors
/// If the write fails.
pub async fn tell<K>(
    client: &Client,
    object: &K,
    conditions: &[Condition],
    problem: &Unreadable,
) -> Result<(), KubeError>
where
    K: Salvage + Resource<Scope: ObjectScope>,
{
    let message = format!(
        "{problem}. The definitions are newer than the operator, or somebody has written an odd value: upgrade the operator or \
         correct the field. Until then the operator leaves the object alone"
    );
    let generation = object.meta().generation.unwrap_or_default();
    let mut next = conditions.to_vec();
    for (kind, value) in [(READY, false), (STALLED, true)] {
        set_condition(
            &mut next,
            kind,
            value,
            Reason::Unreadable,
            &message,
            generation,
            clock::wall(),
        );
    }
    remove_condition(&mut next, RECONCILING);
    if next == conditions {
        return Ok(());
    }
    let patch = json!({
        "metadata": {"uid": object.meta().uid, "resourceVersion": object.meta().resource_version},
        "status": {"observedGeneration": generation, "conditions": next},
    });
    let (name, params) = (object.name_any(), PatchParams::default());
    let api = api::<Decoded<K>>(client, &object.namespace());
    let patch = Patch::Merge(patch);
    bounded_write(
        "write the conditions",
        api.patch_status(&name, &params, &patch),
    )
    .await?;
    Ok(())
}
