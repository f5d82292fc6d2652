//! What a test does with the Secrets and the accounts of its [`Bed`].

use std::sync::Arc;

use cortecs_resources::{CortecsAccount, annotations::OPERATOR};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    SOON,
    bed::{ACCOUNT, Bed, SECRET},
    read::stalled_because,
};
use crate::objects;

impl Bed {
    /// Creates the account's Secret, or replaces what is in it.
    pub(crate) async fn write_secret(&self, client_id: &str, client_secret: &str) {
        self.write_secret_in(&self.namespace, client_id, client_secret)
            .await;
    }

    pub(crate) async fn write_secret_in(
        &self,
        namespace: &str,
        client_id: &str,
        client_secret: &str,
    ) {
        let secrets = self.api_of::<Secret>(namespace);
        objects::write_secret(&secrets, SECRET, client_id, client_secret).await;
    }

    pub(crate) async fn delete_secret(&self) {
        let api = self.api_of::<Secret>(&self.namespace);
        api.delete(SECRET, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    pub(crate) async fn create_account(&self, name: &str, change: Value) {
        self.create_account_in(&self.namespace, name, change).await;
    }

    pub(crate) async fn create_account_in(&self, namespace: &str, name: &str, change: Value) {
        let account = self.account_object(name, change);
        self.create_account_object(namespace, &account).await;
    }

    /// Creates the account for the operator that is installed in this bed's namespace.
    pub(crate) async fn create_assigned_account(&self, change: Value) {
        let mut account = self.account_object(ACCOUNT, change);
        let annotations = account.annotations_mut();
        annotations.insert(OPERATOR.to_owned(), self.namespace.clone());
        self.create_account_object(&self.namespace, &account).await;
    }

    fn account_object(&self, name: &str, change: Value) -> CortecsAccount {
        let mut spec = json!({"apiUrl": self.api_url, "credentialsSecretRef": {"name": SECRET}});
        objects::merge(&mut spec, change);
        objects::object("CortecsAccount", name, spec)
    }

    async fn create_account_object(&self, namespace: &str, account: &CortecsAccount) {
        let api = self.api_of::<CortecsAccount>(namespace);
        let created = api
            .create(&PostParams::default(), account)
            .await
            .expect("an account");
        self.accounts.caught_up_with(&created).await;
    }

    pub(crate) async fn patch_account(&self, change: Value) {
        let api = self.api_of::<CortecsAccount>(&self.namespace);
        let patched = api
            .patch(
                ACCOUNT,
                &PatchParams::default(),
                &Patch::Merge(json!({"spec": change})),
            )
            .await
            .expect("a changed account");
        self.accounts.caught_up_with(&patched).await;
    }

    pub(crate) async fn annotate_account(&self, annotation: &str, value: &str) {
        let api = self.api_of::<CortecsAccount>(&self.namespace);
        let change = json!({"metadata": {"annotations": {annotation: value}}});
        let patched = api
            .patch(ACCOUNT, &PatchParams::default(), &Patch::Merge(change))
            .await
            .expect("an annotated account");
        self.accounts.caught_up_with(&patched).await;
    }

    /// All versions of the account, oldest first.
    pub(crate) fn account_versions(&self) -> Vec<Arc<CortecsAccount>> {
        self.accounts
            .versions(&(self.namespace.clone(), ACCOUNT.to_owned()))
    }

    pub(crate) async fn delete_account(&self) {
        let api = self.api_of::<CortecsAccount>(&self.namespace);
        api.delete(ACCOUNT, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    pub(crate) async fn wait_account(
        &self,
        what: &str,
        holds: impl Fn(&CortecsAccount) -> bool,
    ) -> Arc<CortecsAccount> {
        let key = (self.namespace.clone(), ACCOUNT.to_owned());
        let found = self
            .accounts
            .wait(SOON, |record| {
                record.latest(&key).filter(|account| holds(account))
            })
            .await;
        found.unwrap_or_else(|| panic!("the account did not become {what}"))
    }

    /// Waits until the account is stalled for this reason, with a status about the present spec.
    pub(crate) async fn account_stalls(&self, reason: &str) -> Arc<CortecsAccount> {
        let what = format!("stalled because of {reason}");
        self.wait_account(&what, stalled_because(reason)).await
    }

    pub(crate) async fn wait_account_gone(&self) {
        let key = (self.namespace.clone(), ACCOUNT.to_owned());
        let gone = self
            .accounts
            .wait(SOON, |record| record.latest(&key).is_none().then_some(()))
            .await;
        gone.expect("the account goes");
    }
}
