//! The API's answers about free hardware, shared by all resources for a short while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use cortecs_api::{Client, Error, types::HardwareType};
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_rules::facts::capacity::{Capacity, FRESH};
use tokio::time::timeout;

use crate::mutex::lock;

/// The most APIs whose answers are kept.
const MAX_APIS: usize = 64;

/// How long an API may take to answer: its answer is advice, and the start itself tells.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an API that did not answer is not asked again.
const UNKNOWN: Duration = Duration::from_secs(60);

/// The last answers by API URL. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FreeHardware {
    answers: Arc<Mutex<BTreeMap<String, Arc<Slot>>>>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Locked during a call.
    call: tokio::sync::Mutex<()>,
    /// The answer, and until when it is used.
    known: Mutex<Option<(Capacity, Moment)>>,
}

impl FreeHardware {
    /// The last answer, if it is fresh.
    pub fn cached(&self, api_url: &str) -> Capacity {
        let slot = lock(&self.answers).get(api_url).cloned();
        slot.map_or(Capacity::NotAsked, |slot| slot.fresh())
    }

    /// Asks the API, unless another resource has just done so. `record` gets the result of a call that was answered in time.
    pub async fn ask(
        &self,
        client: &Client,
        api_url: &str,
        record: impl FnOnce(&Result<Vec<HardwareType>, Error>),
    ) -> Capacity {
        let slot = self.slot(api_url);
        let _call = slot.call.lock().await;
        let known = slot.fresh();
        if known != Capacity::NotAsked {
            return known;
        }
        let result = timeout(PATIENCE, client.list_available_hardware_types()).await;
        if let Ok(result) = &result {
            record(result);
        }
        let capacity = match result {
            Ok(Ok(types)) => {
                let ids: BTreeSet<_> = types.into_iter().map(|t| t.hardware_type_id).collect();
                Capacity::Available(Arc::new(ids))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the available hardware cannot be listed");
                Capacity::Unknown
            }
            Err(_) => {
                tracing::debug!("the available hardware was not listed in time");
                Capacity::Unknown
            }
        };
        let lasts = match capacity {
            Capacity::Unknown => UNKNOWN,
            _ => FRESH,
        };
        *lock(&slot.known) = Some((capacity.clone(), clock::moment().after(lasts)));
        capacity
    }

    /// Asks again although there is an answer: the API has just refused a start.
    pub async fn ask_again(
        &self,
        client: &Client,
        api_url: &str,
        record: impl FnOnce(&Result<Vec<HardwareType>, Error>),
    ) -> Capacity {
        self.forget_all(api_url);
        self.ask(client, api_url, record).await
    }

    /// An instance was stopped: the last answer is old.
    pub fn forget(&self, api_url: &str) {
        if let Some(slot) = lock(&self.answers).get(api_url) {
            lock(&slot.known).take_if(|(capacity, _)| *capacity != Capacity::Unknown);
        }
    }

    /// A person orders to ask now.
    pub fn forget_all(&self, api_url: &str) {
        *lock(&self.slot(api_url).known) = None;
    }

    fn slot(&self, api_url: &str) -> Arc<Slot> {
        let mut answers = lock(&self.answers);
        if answers.len() >= MAX_APIS && !answers.contains_key(api_url) {
            answers.clear();
        }
        Arc::clone(answers.entry(api_url.to_owned()).or_default())
    }
}

impl Slot {
    fn fresh(&self) -> Capacity {
        let known = lock(&self.known);
        let fresh = known.as_ref().filter(|(_, until)| clock::moment() < *until);
        fresh.map_or(Capacity::NotAsked, |(capacity, _)| capacity.clone())
    }
}

#[cfg(test)]
mod tests {
    use cortecs_simulator::{Effect, Endpoint, Fault, When};
    use futures::future::join_all;

    use super::{super::models::tests::simulator, *};

    #[tokio::test]
    async fn many_resources_share_one_answer() {
        let (simulator, client) = simulator().await;
        let (api, free) = (simulator.handle(), FreeHardware::default());
        let calls = || api.count(Endpoint::AvailableHardwareTypes);
        assert_eq!(free.cached("api"), Capacity::NotAsked);
        api.set_capacity("NVIDIA_L4_1", 0).unwrap();
        let answers = join_all((0..20).map(|_| free.ask(&client, "api", |_| ()))).await;
        let told =
            |capacity: &Capacity| capacity.lacks("NVIDIA_L4_1") && !capacity.lacks("NVIDIA_L40S_1");
        assert!(answers.iter().all(told));
        assert_eq!((calls(), free.cached("api")), (1, answers[0].clone()));

        free.forget("api");
        assert_eq!(free.cached("api"), Capacity::NotAsked);
        let fails = Effect::fail(500, "Internal error");
        api.add_fault(Fault::once(Endpoint::AvailableHardwareTypes, fails));
        let answer = free.ask(&client, "api", |_| ()).await;
        assert_eq!((answer, calls()), (Capacity::Unknown, 2));
        // An API that does not answer is not asked again at once, whatever happens.
        free.forget("api");
        assert_eq!(free.cached("api"), Capacity::Unknown);

        // Advice that comes late is no advice, and no failure of the API either; another API is not kept waiting.
        let late = Effect::delay(When::Before, 2 * PATIENCE);
        api.add_fault(Fault::once(Endpoint::AvailableHardwareTypes, late));
        let slow = free.ask(&client, "slow", |_| panic!("it was recorded"));
        let other = async {
            api.wait_for(
                |view| view.count(Endpoint::AvailableHardwareTypes) > 2,
                2 * PATIENCE,
            )
            .await
            .unwrap();
            free.ask(&client, "other", |_| ()).await
        };
        let (slow, other) = tokio::join!(slow, other);
        assert!(slow == Capacity::Unknown && told(&other));
    }
}
