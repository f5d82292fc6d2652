//! Part of the book: which resource claims which instance.

use cortecs_resources::{annotations, key::ObjectKey};
use kube::ResourceExt;
use uuid::Uuid;

use super::{book::Book, entry::Entry};
use crate::facts::sealed_id::named_id;

impl Book {
    /// The resources that claim the instance at this API.
    pub fn claimants<'a>(
        &'a self,
        api_url: &'a str,
        instance_id: &'a str,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        self.claimants_if(instance_id, move |entry| entry.claims(api_url, instance_id))
    }

    fn claimants_if<'a>(
        &'a self,
        instance_id: &'a str,
        is_claimant: impl Fn(&Entry) -> bool + 'a,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        self.index
            .claimants(instance_id)
            .filter(move |key| self.entries.get(key).is_some_and(&is_claimant))
    }

    /// Whether a resource other than `me` claims the instance at this API, or will once the instance has been confirmed
    /// to exist: the annotation of that resource proves that the instance was its own.
    pub fn is_claimed_by_other(&self, api_url: &str, instance_id: &str, me: &ObjectKey) -> bool {
        self.present_and_future_claimants(api_url, instance_id)
            .any(|key| key != me)
    }

    /// Whether a resource claims the instance at this API, or will: see [`Book::is_claimed_by_other`].
    pub fn is_claimed(&self, api_url: &str, instance_id: &str) -> bool {
        self.present_and_future_claimants(api_url, instance_id)
            .next()
            .is_some()
    }

    /// The resources that claim the instance at this API, or will: see [`Book::is_claimed_by_other`].
    pub fn present_and_future_claimants<'a>(
        &'a self,
        api_url: &'a str,
        instance_id: &'a str,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        self.claimants_if(instance_id, move |entry| {
            entry.claims(api_url, instance_id) || entry.named_id(Some(api_url)) == Some(instance_id)
        })
    }

    /// Whether the instance at this API is recorded as that of a resource other than `me`: a reservation in this process's memory does not count.
    pub fn is_recorded_for_other(&self, api_url: &str, instance_id: &str, me: &ObjectKey) -> bool {
        self.others_with(api_url, instance_id, me).next().is_some()
    }

    fn others_with<'a>(
        &'a self,
        api_url: &'a str,
        instance_id: &'a str,
        me: &'a ObjectKey,
    ) -> impl Iterator<Item = &'a Entry> {
        let others = self
            .claimants(api_url, instance_id)
            .filter(move |key| *key != me);
        let others = others.filter_map(|key| self.entries.get(key));
        others.filter(move |entry| entry.bound_id() == Some(instance_id))
    }

    /// Whether the instance at this API is recorded as that of a resource other than `me` that is not being deleted.
    pub fn is_kept_by_other(&self, api_url: &str, instance_id: &str, me: &ObjectKey) -> bool {
        let mut others = self.others_with(api_url, instance_id, me);
        others.any(|entry| entry.resource.metadata.deletion_timestamp.is_none())
    }

    /// Whether this process has made the start and given it up.
    pub fn gave_up(&self, start: Uuid) -> bool {
        self.given_up.contains(start)
    }

    /// Whether any resource, at whatever API, has or may have had to do with the instance since this process began: it claims or has claimed
    /// the instance, an annotation or the spec names it, proven or not, or a person is asked about it.
    pub fn was_ever_named(&self, instance_id: &str) -> bool {
        self.let_go.may_have_been_claimed(instance_id)
            || self.entries.values().any(|entry| names(entry, instance_id))
    }
}

fn names(entry: &Entry, instance_id: &str) -> bool {
    let (resource, id) = (&entry.resource, Some(instance_id));
    let annotation = |name: &str| resource.annotations().get(name);
    let sealed = annotation(annotations::INSTANCE_ID).and_then(|value| named_id(value));
    let adopted = resource.spec.adopt.as_ref();
    let status = resource.status.as_ref();
    let mut asked = status
        .and_then(|s| s.slot().start.as_ref())
        .into_iter()
        .flat_map(|start| &start.candidate_ids);
    sealed.as_deref() == id
        || annotation(annotations::RESOLVE_START).map(String::as_str) == id
        || adopted.and_then(|adopt| adopt.instance_id.as_deref()) == id
        || asked.any(|candidate| candidate == instance_id)
}
