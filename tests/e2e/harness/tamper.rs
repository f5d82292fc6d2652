//! Changes of resources by people, backup tools and accidents, past the operator.

use cortecs_resources::{CortecsAccount, CortecsInstance, annotations};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    MODEL,
    bed::{ACCOUNT, Bed},
    record::Record,
};

/// A resource in a backup.
pub(crate) type Backup = CortecsInstance;

impl Bed {
    /// Replaces a resource's status.
    pub(crate) async fn replace_status(&self, name: &str, status: Value) {
        loop {
            let api = self.api_of::<CortecsInstance>(&self.namespace);
            let mut resource = api.get(name).await.expect("the resource");
            resource.status = serde_json::from_value(status.clone()).expect("a status");
            match api
                .replace_status(name, &PostParams::default(), &resource)
                .await
            {
                Ok(written) => return self.instances.caught_up_with(&written).await,
                Err(kube::Error::Api(status)) if status.is_conflict() => {}
                Err(error) => panic!("the status of {name} cannot be written: {error}"),
            }
        }
    }

    /// Empties a status, as `kubectl replace --subresource=status` does with a manifest without a status.
    pub(crate) async fn empty_status(&self, name: &str) {
        self.replace_status(name, json!({})).await;
    }

    /// Takes all finalizers off a resource that is not being deleted.
    pub(crate) async fn strip_finalizers(&self, name: &str) {
        let bare = self.tamper(name, json!({"metadata": {"finalizers": null}}));
        let bare = bare.await;
        self.instances.caught_up_with(&bare).await;
    }

    /// Merges a change into a resource, and does not wait for the watch to show it.
    pub(crate) async fn tamper(&self, name: &str, change: Value) -> CortecsInstance {
        let patched = self
            .api_of::<CortecsInstance>(&self.namespace)
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await;
        patched.expect("a changed resource")
    }

    /// Deletes a resource and takes its finalizer off, so that its instance stays and is unmanaged.
    pub(crate) async fn lose(&self, name: &str) {
        self.delete(name).await;
        // The patch fails where the operator was faster and has removed its finalizer.
        let change = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let _ = self
            .api_of::<CortecsInstance>(&self.namespace)
            .patch(name, &PatchParams::default(), &change)
            .await;
        self.wait_gone(name).await;
    }

    /// Deletes the account and takes its finalizer off, whatever uses it.
    pub(crate) async fn lose_account(&self) {
        self.delete_account().await;
        // The patch fails where the account had no finalizer yet.
        let change = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        let _ = self
            .api_of::<CortecsAccount>(&self.namespace)
            .patch(ACCOUNT, &PatchParams::default(), &change)
            .await;
        self.wait_account_gone().await;
    }

    /// Backs a resource up, as a backup tool does.
    pub(crate) async fn back_up(&self, name: &str) -> Backup {
        let mut backup = self
            .api_of::<CortecsInstance>(&self.namespace)
            .get(name)
            .await
            .expect("the resource");
        let metadata = &mut backup.metadata;
        metadata.uid = None;
        metadata.resource_version = None;
        metadata.generation = None;
        metadata.creation_timestamp = None;
        metadata.managed_fields = None;
        metadata.finalizers = None;
        backup
    }

    /// Runs the resource `phi`, backs it up and loses it while no operator runs: the id of its instance, and the backup.
    pub(crate) async fn lose_backed_up(&self) -> (String, Backup) {
        let operator = self.operator();
        let id = self.run_sealed("phi", json!({"modelId": MODEL})).await;
        let backup = self.back_up("phi").await;
        operator.kill();
        self.lose("phi").await;
        (id, backup)
    }

    /// Creates the resource from its backup. The API server drops the status.
    pub(crate) async fn restore(&self, backup: &Backup) {
        let created = self
            .api_of::<CortecsInstance>(&self.namespace)
            .create(&PostParams::default(), backup)
            .await
            .expect("a restored resource");
        self.instances.caught_up_with(&created).await;
    }

    /// Begins new records of the bed's own namespace. After Kubernetes was restored to an earlier state, older watches show
    /// nothing.
    pub(crate) fn watch_anew(&mut self) {
        let namespaces = [self.namespace.clone()];
        self.instances = Record::start(&self.client, &namespaces);
        self.accounts = Record::start(&self.client, &namespaces);
    }

    /// Waits until the annotation names the instance.
    pub(crate) async fn sealed(&self, name: &str, id: &str) -> String {
        let resource = self
            .wait(name, "sealed", |r| {
                seal_of(r).is_some_and(|seal| seal.starts_with(&format!("{id}.")))
            })
            .await;
        seal_of(&resource).expect("the annotation").to_owned()
    }
}

/// The annotation with the instance's id.
pub(crate) fn seal_of(resource: &CortecsInstance) -> Option<&str> {
    let value = resource.annotations().get(annotations::INSTANCE_ID);
    value.map(String::as_str)
}
