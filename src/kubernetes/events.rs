//! Publishing events. It never fails a reconcile, and what is told again soon is a series rather than another event.
//!
//! kube's recorder does not look at the note: it takes an event of the same reason for a repetition and publishes the first note
//! again. Here an event is the same when all that people read of it is.

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

/// Who reports, as events name it.
const CONTROLLER: &str = "cortecs.ai/cortecs-operator";
/// The API server refuses an event whose note is longer, in bytes.
const MAX_NOTE: usize = 1024;
/// It refuses longer reasons and names of reporters too, in characters.
const MAX_WORD: usize = 128;
/// How much of a resource's name its events are named by.
const MAX_STEM: usize = 200;
/// An event that is told again within this time goes on.
const WINDOW: Duration = Duration::from_secs(6 * 60);
/// How many events are remembered; the one that was told last longest ago is forgotten first.
const REMEMBERED: usize = 1024;

/// Publishes events. Clones share what was told.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
    told: Arc<Mutex<Told>>,
}

impl Events {
    /// `instance` names this process among replicas.
    pub fn new(client: Client, instance: &str) -> Self {
        Self {
            client,
            instance: instance.chars().take(MAX_WORD).collect(),
            told: Arc::default(),
        }
    }

    /// Publishes what is worth telling of `resource`. A failure is logged, no more.
    pub async fn publish(
        &self,
        resource: &impl Resource<DynamicType = ()>,
        tellings: Vec<EventText>,
    ) {
        for telling in tellings {
            let reason = telling.reason.clone();
            if let Err(error) = self.tell(resource, telling).await {
                tracing::debug!(%error, reason, "event not published");
            }
        }
    }

    async fn tell(
        &self,
        resource: &impl Resource<DynamicType = ()>,
        telling: EventText,
    ) -> Result<(), KubeError> {
        let metadata = resource.meta();
        let namespace = metadata.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let about = About {
            uid: metadata.uid.clone().unwrap_or_default(),
            telling: fitting(telling),
        };
        let again = self.told().again(&about, clock::moment());
        if let Some((name, count)) = again {
            let series = json!({"count": count, "lastObservedTime": MicroTime(clock::wall())});
            let patch = Patch::Merge(json!({ "series": series }));
            let parameters = PatchParams::default();
            let patched = bounded("repeat an event", async {
                api.patch_metadata(&name, &parameters, &patch).await
            });
            match patched.await {
                Err(error) if error.is_not_found() => {}
                repeated => return repeated.map(drop),
            }
        }
        let event = self.event(resource, namespace, &about.telling);
        let parameters = PostParams::default();
        bounded("publish an event", api.create(&parameters, &event)).await?;
        let name = event.metadata.name.unwrap_or_default();
        self.told().first(about, name, clock::moment());
        Ok(())
    }

    fn event(
        &self,
        resource: &impl Resource<DynamicType = ()>,
        namespace: &str,
        telling: &EventText,
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
            type_: Some(if telling.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(telling.reason.clone()),
            note: Some(telling.note.clone()),
            action: Some("Reconciling".to_owned()),
            regarding: Some(resource.object_ref(&())),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        lock(&self.told)
    }
}

/// What the API server takes of it.
fn fitting(telling: EventText) -> EventText {
    let mut end = telling.note.len().min(MAX_NOTE);
    while !telling.note.is_char_boundary(end) {
        end -= 1;
    }
    EventText {
        reason: telling.reason.chars().take(MAX_WORD).collect(),
        note: telling.note[..end].to_owned(),
        ..telling
    }
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq)]
struct About {
    uid: String,
    telling: EventText,
}

/// What was told lately, the last told last.
#[derive(Debug, Default)]
struct Told(Vec<Series>);

#[derive(Debug)]
struct Series {
    about: About,
    /// The event's.
    name: String,
    count: i32,
    last: Moment,
}

impl Told {
    /// The event to go on with, and how often it has been told by then; `None` where it is a new one.
    fn again(&mut self, about: &About, now: Moment) -> Option<(String, i32)> {
        self.0.retain(|series| now.since(series.last) < WINDOW);
        let known = self.0.iter().position(|series| series.about == *about)?;
        let mut series = self.0.remove(known);
        series.count = series.count.saturating_add(1);
        series.last = now;
        let next = (series.name.clone(), series.count);
        self.0.push(series);
        Some(next)
    }

    /// A new event was told.
    fn first(&mut self, about: About, name: String, now: Moment) {
        self.0.retain(|series| series.about != about);
        if self.0.len() >= REMEMBERED {
            self.0.remove(0);
        }
        self.0.push(Series {
            about,
            name,
            count: 1,
            last: now,
        });
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
