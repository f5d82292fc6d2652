//! The API's catalog as cluster-scoped objects.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    ops::{Deref, DerefMut},
    time::Duration,
};

use cortecs_operator::catalog_objects::intervals::Intervals;
use cortecs_resources::{
    CortecsHardwareType, CortecsModel,
    account::ManagedBy,
    annotations::{ACCOUNT, OPERATOR},
};
use cortecs_rules::catalog::details::Pace;
use cortecs_simulator::{CatalogChange, Effect, Endpoint, Fault, FaultBody, When};
use k8s_openapi::ClusterResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    control_plane::assert_succeeded,
    eventually::eventually,
    harness::{
        Asked, Bed, BedBuilder, HARDWARE, HangingProxy, MODEL, MODEL_ID, Meddling, SOON,
        polls_every_second,
    },
    objects::{install_definitions, object},
};

mod lists;
mod others;
mod rights;
mod shown;

const MODELS: usize = 8;
const HARDWARE_TYPES: usize = 10;

/// The intervals of the tests: all of what takes minutes or hours takes moments.
const INTERVALS: Intervals = Intervals {
    refresh: Duration::from_millis(200),
    availability: Duration::from_millis(200),
    details: Pace {
        slow: Duration::from_millis(20),
        fresh: Duration::from_secs(3600),
        retry: Duration::from_millis(200),
    },
    retry: Duration::from_millis(200),
    tick: Duration::from_millis(50),
    pass: Duration::from_millis(20),
    longest_pass: Duration::from_millis(40),
};

/// A bed whose operator writes the catalog's objects. They belong to no namespace, so one such test runs at a time.
struct CatalogBed {
    bed: Bed,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for CatalogBed {
    type Target = Bed;

    fn deref(&self) -> &Bed {
        &self.bed
    }
}

impl DerefMut for CatalogBed {
    fn deref_mut(&mut self) -> &mut Bed {
        &mut self.bed
    }
}

impl CatalogBed {
    /// Waits for its turn, and begins without objects.
    async fn new(builder: BedBuilder) -> Self {
        static TURN: Mutex<()> = Mutex::const_new(());
        let turn = TURN.lock().await;
        let mut bed = builder.build().await;
        bed.config.catalog_objects = Some(INTERVALS);
        remove_all::<CortecsModel>(&bed).await;
        remove_all::<CortecsHardwareType>(&bed).await;
        Self { bed, _turn: turn }
    }
}

async fn remove_all<K>(bed: &Bed)
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned,
{
    let (delete, all) = (DeleteParams::default(), ListParams::default());
    let removed = api::<K>(bed).delete_collection(&delete, &all).await;
    removed.expect("no objects");
}

async fn bed(name: &'static str) -> CatalogBed {
    CatalogBed::new(Bed::builder(name)).await
}

fn api<K: Resource<DynamicType = (), Scope = ClusterResourceScope>>(bed: &Bed) -> Api<K> {
    Api::all(bed.client.clone())
}

async fn objects<K>(bed: &Bed) -> BTreeMap<String, K>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned,
{
    let list = api::<K>(bed).list(&ListParams::default()).await;
    let objects = list.expect("the objects").items.into_iter();
    objects.map(|object| (object.name_any(), object)).collect()
}

/// Name and resourceVersion of each object of both kinds.
async fn versions(bed: &Bed) -> BTreeMap<String, Option<String>> {
    let models = objects::<CortecsModel>(bed).await.into_iter();
    let hardware = objects::<CortecsHardwareType>(bed).await.into_iter();
    let models = models.map(|(name, o)| (format!("model {name}"), o.resource_version()));
    models
        .chain(hardware.map(|(name, o)| (format!("hardware {name}"), o.resource_version())))
        .collect()
}

/// Waits until the objects are as they should be.
async fn until<K>(
    bed: &Bed,
    what: &str,
    holds: impl Fn(&BTreeMap<String, K>) -> bool,
) -> BTreeMap<String, K>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned,
{
    eventually(what, SOON, async || {
        let found = objects::<K>(bed).await;
        match holds(&found) {
            true => Ok(found),
            // Formatting a thousand objects at each look would slow everything down.
            false if found.len() > 20 => Err(format!("{} objects", found.len())),
            false => Err(format!("{found:#?}")),
        }
    })
    .await
}

/// Waits until every model of the catalog has its object, with its maxima, and every hardware type.
async fn complete(bed: &Bed) {
    until::<CortecsModel>(bed, "all models", |models| {
        models.len() == MODELS
            && models
                .values()
                .all(|model| !model.spec.max_context_lengths.is_empty())
    })
    .await;
    until::<CortecsHardwareType>(bed, "all hardware types", |types| {
        types.len() == HARDWARE_TYPES && types.values().all(|kind| kind.spec.available.is_some())
    })
    .await;
}

/// Waits until the operator has worked with this many more lists of models and of hardware types.
async fn refreshed(bed: &Bed, more: u64) {
    for endpoint in [Endpoint::ListModels, Endpoint::HardwareTypes] {
        // The last list of those that are counted may not be in use yet.
        let wanted = bed.api.count(endpoint) + more + 2;
        bed.wait_api("more lists", |view| view.count(endpoint) >= wanted)
            .await;
    }
}

fn answer(endpoint: Endpoint, status: u16, body: &str) -> Fault {
    let effect = Effect::Answer {
        when: When::After,
        status,
        body: FaultBody::Raw(body.to_owned()),
        retry_after: None,
        location: None,
    };
    Fault::new(endpoint, effect)
}

fn change(bed: &Bed, change: Value) {
    let change: CatalogChange = serde_json::from_value(change).expect("a change");
    bed.api.change_catalog(change);
}
