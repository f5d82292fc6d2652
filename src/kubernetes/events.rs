//! Publishes events. A failure to publish does not fail a reconcile. A repeated event extends the series of the first one.
//!
//! kube's recorder ignores the note: it takes an event with the same reason for a repetition and publishes the first note again.
//! Here two events are the same if they agree in resource, type, reason and note.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_rules::event::EventText;
use k8s_openapi::{
    api::events::v1::Event,
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::client::{KubeError, bounded};
use crate::mutex::lock;

/// The reporting controller of all events.
const CONTROLLER: &str = "cortecs.ai/cortecs-operator";
/// The API server refuses longer notes; in bytes.
const MAX_NOTE: usize = 1024;
/// The API server refuses longer reasons and reporting instances; in characters.
const MAX_WORD: usize = 128;
/// The longest part of a resource's name in the names of its events.
const MAX_STEM: usize = 200;
/// An event that is repeated within this time extends the series.
const SERIES_WINDOW: Duration = Duration::from_secs(6 * 60);
/// How many series are remembered; the one with the oldest last event is dropped first.
const MAX_SERIES: usize = 1024;

/// Publishes events. Clones share the recent ones.
#[derive(Clone)]
pub struct Events {
    client: Client,
    silent: bool,
    instance: String,
    recent: Arc<Mutex<RecentEvents>>,
}

impl Events {
    /// `instance` names this process among replicas.
    pub fn new(client: Client, instance: &str) -> Self {
        Self {
            client,
            silent: false,
            instance: instance.chars().take(MAX_WORD).collect(),
            recent: Arc::default(),
        }
    }

    /// Events that nobody sees, for a process that may not publish any.
    pub fn silent(client: Client) -> Self {
        Self {
            silent: true,
            ..Self::new(client, "")
        }
    }

    /// Publishes events about `resource`. A failure is only logged.
    pub async fn publish(&self, resource: &impl Resource<DynamicType = ()>, texts: Vec<EventText>) {
        for text in texts.into_iter().filter(|_| !self.silent) {
            let reason = text.reason.clone();
            if let Err(error) = self.publish_one(resource, text).await {
                tracing::debug!(%error, reason, "event not published");
            }
        }
    }

    async fn publish_one(
        &self,
        resource: &impl Resource<DynamicType = ()>,
        text: EventText,
    ) -> Result<(), KubeError> {
        let metadata = resource.meta();
        let namespace = metadata.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let identity = EventIdentity {
            uid: metadata.uid.clone().unwrap_or_default(),
            text: truncated(text),
        };
        let repeated = self.recent().repeat(&identity, clock::moment());
        if let Some((name, count)) = repeated {
            let series = json!({"count": count, "lastObservedTime": MicroTime(clock::wall())});
            let patch = Patch::Merge(json!({ "series": series }));
            let parameters = PatchParams::default();
            let patched = bounded("repeat an event", async {
                api.patch_metadata(&name, &parameters, &patch).await
            });
            match patched.await {
                Err(error) if error.is_not_found() => {}
                result => return result.map(drop),
            }
        }
        let event = self.event(resource, namespace, &identity.text);
        let parameters = PostParams::default();
        bounded("publish an event", api.create(&parameters, &event)).await?;
        let name = event.metadata.name.unwrap_or_default();
        self.recent().insert(identity, name, clock::moment());
        Ok(())
    }

    fn event(
        &self,
        resource: &impl Resource<DynamicType = ()>,
        namespace: &str,
        text: &EventText,
    ) -> Event {
        let stem = resource.meta().name.as_deref().unwrap_or_default();
        let stem: String = stem.chars().take(MAX_STEM).collect();
        let stem = stem.trim_end_matches(['-', '.']);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{stem}.{:016x}", fastrand::u64(..))),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(clock::wall())),
            type_: Some(if text.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(text.reason.clone()),
            note: Some(text.note.clone()),
            action: Some("Reconciling".to_owned()),
            regarding: Some(resource.object_ref(&())),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, RecentEvents> {
        lock(&self.recent)
    }
}

/// Truncates the text to the lengths that the API server accepts.
fn truncated(text: EventText) -> EventText {
    let mut end = text.note.len().min(MAX_NOTE);
    while !text.note.is_char_boundary(end) {
        end -= 1;
    }
    EventText {
        reason: text.reason.chars().take(MAX_WORD).collect(),
        note: text.note[..end].to_owned(),
        ..text
    }
}

/// Two events with the same identity belong to one series.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EventIdentity {
    uid: String,
    text: EventText,
}

/// The series of the last minutes, ordered by their last event.
#[derive(Debug, Default)]
struct RecentEvents(Vec<Series>);

#[derive(Debug)]
struct Series {
    identity: EventIdentity,
    /// The name of the event object.
    name: String,
    count: i32,
    last: Moment,
}

impl RecentEvents {
    /// Repeats the event: returns the name of its object and the new count; `None` if there is no recent event of this identity.
    fn repeat(&mut self, identity: &EventIdentity, now: Moment) -> Option<(String, i32)> {
        self.0
            .retain(|series| now.since(series.last) < SERIES_WINDOW);
        let known = self
            .0
            .iter()
            .position(|series| series.identity == *identity)?;
        let mut series = self.0.remove(known);
        series.count = series.count.saturating_add(1);
        series.last = now;
        let next = (series.name.clone(), series.count);
        self.0.push(series);
        Some(next)
    }

    /// Adds a series that begins with a new event.
    fn insert(&mut self, identity: EventIdentity, name: String, now: Moment) {
        self.0.retain(|series| series.identity != identity);
        if self.0.len() >= MAX_SERIES {
            self.0.remove(0);
        }
        self.0.push(Series {
            identity,
            name,
            count: 1,
            last: now,
        });
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
