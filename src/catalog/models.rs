//! A cache of the API's models.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use cortecs_api::{Client, Error, RetryClass, types::Model};
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_rules::facts::nearest;

use crate::mutex::lock;

/// The most models in the cache, over all APIs.
pub const MAX_MODELS: usize = 512;
/// How long a cached model is used.
const FRESH: Duration = Duration::from_secs(600);
/// How long a cached refusal is used: the catalog may grow.
const REFUSED: Duration = Duration::from_secs(60);
/// How long a model is used while the catalog cannot be asked. After that the API decides.
const OLD: Duration = Duration::from_secs(3600);
/// How long a cached passing failure is used, so that many resources with one model do not each make a call.
const FAILED: Duration = Duration::from_secs(5);

/// Models by API and id. Clones share the cache.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    slots: Arc<Mutex<HashMap<Key, Arc<Slot>>>>,
}

/// Why a model is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CatalogError {
    /// The API refuses the model. The refusal lasts until the catalog changes.
    pub terminal: bool,
    pub message: String,
    /// The names of models that may have been meant.
    pub nearest: Vec<String>,
}

type Answer = Result<Arc<Model>, CatalogError>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    api_url: String,
    model_id: String,
}

#[derive(Debug, Default)]
struct Slot {
    /// Locked during a call to the API.
    call: tokio::sync::Mutex<()>,
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    answer: Answer,
    asked_at: Moment,
    /// When the API gave the model, or the refusal.
    learned_at: Moment,
    good_until: Moment,
}

impl Catalog {
    /// The model, from the cache or from the API, with at most one call at a time for each model. After a passing failure the cached
    /// model is still used. `record` gets the result of a call.
    ///
    /// # Errors
    /// Why the API did not return the model. Errors are cached, too, for a shorter time.
    pub async fn model(
        &self,
        client: &Client,
        api_url: &str,
        model_id: &str,
        record: impl FnOnce(&Result<Model, Error>),
    ) -> Answer {
        let slot = self.slot(api_url, model_id);
        if let Some(answer) = slot.fresh(clock::moment()) {
            return answer;
        }
        let _call = slot.call.lock().await;
        let asked_at = clock::moment();
        if let Some(answer) = slot.fresh(asked_at) {
            return answer;
        }
        let result = client.get_model(model_id).await;
        record(&result);
        let nearest = match &result {
            Err(error) if error.class() == RetryClass::Terminal => nearest(client, model_id).await,
            _ => Vec::new(),
        };
        slot.update(result, nearest, asked_at, clock::moment())
    }

    /// The cached answer, if it is still fresh. Makes no call.
    pub fn cached(&self, api_url: &str, model_id: &str) -> Option<Answer> {
        let slot = self.slots().get(&key(api_url, model_id)).cloned();
        slot?.fresh(clock::moment())
    }

    /// Forgets the answer about the model: it is asked for anew.
    pub fn forget(&self, api_url: &str, model_id: &str) {
        self.slots().remove(&key(api_url, model_id));
    }

    fn slot(&self, api_url: &str, model_id: &str) -> Arc<Slot> {
        let key = key(api_url, model_id);
        let mut slots = self.slots();
        if let Some(slot) = slots.get(&key) {
            return Arc::clone(slot);
        }
        if slots.len() >= MAX_MODELS {
            // A slot without an answer counts as the oldest, unless a call uses it.
            let oldest = slots
                .iter()
                .min_by_key(|(_, slot)| (Arc::strong_count(slot) > 1, slot.asked_at()))
                .map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                slots.remove(&oldest);
            }
        }
        Arc::clone(slots.entry(key).or_default())
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        lock(&self.slots)
    }
}

/// The names of models that may have been meant; none, if the catalog cannot be listed now.
async fn nearest(client: &Client, model_id: &str) -> Vec<String> {
    match client.list_models().await {
        Ok(models) => nearest::nearest(model_id, &models),
        Err(error) => {
            tracing::debug!(%error, "the catalog cannot be listed");
            Vec::new()
        }
    }
}

fn key(api_url: &str, model_id: &str) -> Key {
    Key {
        api_url: api_url.to_owned(),
        model_id: model_id.to_owned(),
    }
}

impl Slot {
    fn fresh(&self, now: Moment) -> Option<Answer> {
        let known = self.known();
        let known = known.as_ref().filter(|known| now < known.good_until)?;
        Some(known.answer.clone())
    }

    fn asked_at(&self) -> Option<Moment> {
        self.known().as_ref().map(|known| known.asked_at)
    }

    fn update(
        &self,
        result: Result<Model, Error>,
        nearest: Vec<String>,
        asked_at: Moment,
        now: Moment,
    ) -> Answer {
        let mut known = self.known();
        let (answer, learned_at, good_for) = match result {
            Ok(model) => (Ok(Arc::new(model)), now, FRESH),
            Err(error) => {
                let terminal = error.class() == RetryClass::Terminal;
                let before = known.as_ref().filter(|known| {
                    known.answer.is_ok() && !terminal && now.since(known.learned_at) < OLD
                });
                match before {
                    Some(known) => (known.answer.clone(), known.learned_at, pause(&error)),
                    None => {
                        let message = error.to_string();
                        let pause = if terminal { REFUSED } else { pause(&error) };
                        let error = CatalogError {
                            terminal,
                            message,
                            nearest,
                        };
                        (Err(error), now, pause)
                    }
                }
            }
        };
        *known = Some(Known {
            answer: answer.clone(),
            asked_at,
            learned_at,
            good_until: now.after(good_for),
        });
        answer
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        lock(&self.known)
    }
}

/// How long a passing failure stays in the cache.
fn pause(error: &Error) -> Duration {
    error.retry_after().unwrap_or_default().clamp(FAILED, FRESH)
}

#[cfg(test)]
#[path = "models_tests.rs"]
pub(super) mod tests;
