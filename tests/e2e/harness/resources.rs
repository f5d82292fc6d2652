//! What a test does with the CortecsInstances of its [`Bed`].

use std::sync::Arc;

use cortecs_resources::{CortecsInstance, conditions::RECONCILING};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::{
    MODEL, SOON,
    bed::Bed,
    read::{Read, bound, running, stalled_because},
    sorted,
};
use crate::{eventually::eventually, objects};

impl Bed {
    /// Creates a resource in the bed's own namespace.
    pub(crate) async fn create(&self, name: &str, spec: Value) -> CortecsInstance {
        self.create_in(&self.namespace, name, spec).await
    }

    pub(crate) async fn create_in(
        &self,
        namespace: &str,
        name: &str,
        spec: Value,
    ) -> CortecsInstance {
        let resource: CortecsInstance = objects::object("CortecsInstance", name, spec);
        self.create_resource(namespace, &resource).await
    }

    /// Creates a resource in the bed's own namespace with this metadata beside its name.
    pub(crate) async fn create_with(
        &self,
        name: &str,
        metadata: Value,
        spec: Value,
    ) -> CortecsInstance {
        let mut resource: CortecsInstance = objects::object("CortecsInstance", name, spec);
        let metadata: ObjectMeta = serde_json::from_value(metadata).expect("metadata");
        resource.metadata = ObjectMeta {
            name: resource.metadata.name,
            ..metadata
        };
        self.create_resource(&self.namespace, &resource).await
    }

    async fn create_resource(
        &self,
        namespace: &str,
        resource: &CortecsInstance,
    ) -> CortecsInstance {
        let created = self
            .api_of::<CortecsInstance>(namespace)
            .create(&PostParams::default(), resource)
            .await
            .expect("a resource");
        self.instances.caught_up_with(&created).await;
        created
    }

    /// Creates a resource and waits until it runs; the id of its instance.
    pub(crate) async fn run(&self, name: &str, spec: Value) -> String {
        self.create(name, spec).await;
        self.runs(name).await
    }

    /// Creates a resource with the usual model for each name.
    pub(crate) async fn create_each(&self, names: &[impl AsRef<str>]) {
        for name in names {
            self.create(name.as_ref(), json!({"modelId": MODEL})).await;
        }
    }

    /// Creates a resource and waits until it runs and the annotation names its instance; the instance's id.
    pub(crate) async fn run_sealed(&self, name: &str, spec: Value) -> String {
        let id = self.run(name, spec).await;
        self.sealed(name, &id).await;
        id
    }

    /// Changes a resource's spec by a merge.
    pub(crate) async fn change(&self, name: &str, spec: Value) {
        self.patch(name, json!({"spec": spec})).await;
    }

    pub(crate) async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        self.patch(
            name,
            json!({"metadata": {"annotations": {annotation: value}}}),
        )
        .await;
    }

    async fn patch(&self, name: &str, change: Value) {
        let api = self.api_of::<CortecsInstance>(&self.namespace);
        let change = Patch::Merge(change);
        // A person would try again when the connection breaks.
        let patched = eventually("a changed resource", SOON, async || {
            match api.patch(name, &PatchParams::default(), &change).await {
                Err(error @ kube::Error::Api(_)) => panic!("{name} cannot be changed: {error}"),
                result => result.map_err(|error| error.to_string()),
            }
        })
        .await;
        self.instances.caught_up_with(&patched).await;
    }

    pub(crate) async fn delete(&self, name: &str) {
        let api = self.api_of::<CortecsInstance>(&self.namespace);
        api.delete(name, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    /// Waits until the condition holds for the resource.
    pub(crate) async fn wait(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&CortecsInstance) -> bool,
    ) -> Arc<CortecsInstance> {
        self.wait_in(&self.namespace, name, what, holds).await
    }

    /// Waits until the resource runs; the id of its instance.
    pub(crate) async fn runs(&self, name: &str) -> String {
        bound(&*self.wait(name, "running", running).await).to_owned()
    }

    /// Waits until the resource is stalled for this reason, with a status about the present spec.
    pub(crate) async fn stalls(&self, name: &str, reason: &str) -> Arc<CortecsInstance> {
        let what = format!("stalled because of {reason}");
        self.wait(name, &what, stalled_because(reason)).await
    }

    /// Waits until the resource is reconciling for this reason, with a status about the present spec.
    pub(crate) async fn waits(&self, name: &str, reason: &str) -> Arc<CortecsInstance> {
        let what = format!("reconciling because of {reason}");
        self.wait(name, &what, |resource| {
            let condition = resource.condition(RECONCILING);
            resource.is_current() && condition.is_some_and(|c| c.reason == reason)
        })
        .await
    }

    /// Waits until each of the resources runs; the ids of their instances.
    pub(crate) async fn all_run(&self, names: &[impl AsRef<str>]) -> Vec<String> {
        let mut ids = Vec::new();
        for name in names {
            ids.push(self.runs(name.as_ref()).await);
        }
        ids
    }

    pub(crate) async fn wait_in(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&CortecsInstance) -> bool,
    ) -> Arc<CortecsInstance> {
        let key = (namespace.to_owned(), name.to_owned());
        let found = self
            .instances
            .wait(SOON, |record| {
                record.latest(&key).filter(|resource| holds(resource))
            })
            .await;
        found.unwrap_or_else(|| panic!("{name} did not become {what}"))
    }

    pub(crate) async fn wait_gone(&self, name: &str) {
        let key = (self.namespace.clone(), name.to_owned());
        let gone = self
            .instances
            .wait(SOON, |record| record.latest(&key).is_none().then_some(()))
            .await;
        assert!(gone.is_some(), "{name} is still there");
    }

    /// The latest version of a resource in the bed's own namespace; `None` if it does not exist.
    pub(crate) fn latest(&self, name: &str) -> Option<Arc<CortecsInstance>> {
        self.instances
            .latest(&(self.namespace.clone(), name.to_owned()))
    }

    /// The resources in the bed's own namespace, read from the API server.
    pub(crate) async fn resources(&self) -> Vec<CortecsInstance> {
        let api = self.api_of::<CortecsInstance>(&self.namespace);
        api.list(&ListParams::default())
            .await
            .expect("the resources")
            .items
    }

    /// The ids of the instances that resources are bound to, sorted.
    pub(crate) fn bound_ids(&self) -> Vec<String> {
        let resources = self.instances.all().into_iter();
        let ids = resources.map(|r| bound(&r).to_owned());
        sorted(ids.filter(|id| !id.is_empty()).collect())
    }

    /// All versions of a resource, oldest first.
    pub(crate) fn versions(&self, name: &str) -> Vec<Arc<CortecsInstance>> {
        self.instances
            .versions(&(self.namespace.clone(), name.to_owned()))
    }
}
