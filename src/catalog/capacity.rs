//! The API's answers about free hardware, shared by all resources for a short while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use cortecs_api::{Client, Error, types::HardwareType};
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_rules::facts::capacity::{Capacity, FRESH};

use crate::mutex::lock;

/// The most APIs whose answers are kept.
const MAX_APIS: usize = 64;

/// The last answers by API URL. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FreeHardware {
    answers: Arc<Mutex<BTreeMap<String, (Capacity, Moment)>>>,
    /// Locked during a call to an API.
    call: Arc<tokio::sync::Mutex<()>>,
}

impl FreeHardware {
    /// The last answer, if it is fresh.
    pub fn cached(&self, api_url: &str) -> Capacity {
        let answers = lock(&self.answers);
        let known = answers.get(api_url);
        let fresh = known.filter(|(_, asked_at)| clock::moment() < asked_at.after(FRESH));
        fresh.map_or(Capacity::NotAsked, |(capacity, _)| capacity.clone())
    }

    /// Asks the API, unless another resource has just done so. `record` gets the result of a call.
    pub async fn ask(
        &self,
        client: &Client,
        api_url: &str,
        record: impl FnOnce(&Result<Vec<HardwareType>, Error>),
    ) -> Capacity {
        let _call = self.call.lock().await;
        let known = self.cached(api_url);
        if known != Capacity::NotAsked {
            return known;
        }
        let asked_at = clock::moment();
        let result = client.list_available_hardware_types().await;
        record(&result);
        let capacity = match result {
            Ok(types) => {
                let ids: BTreeSet<_> = types.into_iter().map(|t| t.hardware_type_id).collect();
                Capacity::Available(Arc::new(ids))
            }
            Err(error) => {
                tracing::debug!(%error, "the available hardware cannot be listed");
                Capacity::Unknown
            }
        };
        let mut answers = lock(&self.answers);
        if answers.len() >= MAX_APIS && !answers.contains_key(api_url) {
            answers.clear();
        }
        answers.insert(api_url.to_owned(), (capacity.clone(), asked_at));
        capacity
    }

    /// Something was started, stopped or deleted, or a start was refused: the last answer is old.
    pub fn forget(&self, api_url: &str) {
        lock(&self.answers).remove(api_url);
    }
}

#[cfg(test)]
mod tests {
    use cortecs_api::{ClientConfig, Credentials, install_crypto_provider};
    use cortecs_simulator::{Effect, Endpoint, Fault, Simulator, SimulatorConfig};
    use futures::future::join_all;
    use secrecy::SecretString;

    use super::*;

    #[tokio::test]
    async fn many_resources_share_one_answer() {
        install_crypto_provider();
        let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let credentials = Credentials {
            client_id: "demo".to_owned(),
            client_secret: SecretString::from("demo-secret"),
        };
        let client = Client::new(ClientConfig::new(simulator.api_url(), credentials)).unwrap();
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
    }
}
