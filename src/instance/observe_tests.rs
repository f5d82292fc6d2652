//! What an annotation with the id proves, with credentials that the API accepts and with others.

use std::time::Duration;

use cortecs_api::{Client, ClientConfig, Credentials, install_crypto_provider};
use cortecs_rules::{
    facts::fleet_key::FleetKey,
    pacing::schedule::{PollLimits, PollSettings},
};
use cortecs_simulator::{Simulator, SimulatorConfig};
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::fleet::hooks::Unobserved;

const DEADLINE: Duration = Duration::from_secs(30);

/// A fleet with this client secret, after its first list has succeeded or failed.
async fn fleet(simulator: &Simulator, secret: &str) -> Fleet {
    let credentials = Credentials {
        client_id: "demo".to_owned(),
        client_secret: SecretString::from(secret.to_owned()),
    };
    let client = Client::new(ClientConfig::new(simulator.api_url(), credentials)).unwrap();
    let key = FleetKey::new(&simulator.api_url(), "demo");
    let seldom = Duration::from_secs(24 * 3600);
    let settings = PollSettings {
        active: seldom,
        idle: seldom,
    };
    let limits = PollLimits {
        floor: Duration::from_millis(5),
        auth_retry: seldom,
    };
    let fleet = Fleet::start(key, client, settings, limits, Arc::new(Unobserved));
    let mut ended = fleet.ended();
    let first = ended.wait_for(|count| *count >= 1);
    let first = tokio::time::timeout(DEADLINE, first).await;
    first.expect("the list ends in time").unwrap();
    fleet
}

/// A resource with the annotation that this client secret makes.
fn sealed_with(secret: &str) -> CortecsInstance {
    let key = sealed_id::Key::derive(secret).unwrap();
    let value = key.seal("ns", "phi", "i-1");
    let resource = json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {
            "namespace": "ns", "name": "phi", "annotations": { annotations::INSTANCE_ID: value },
        },
        "spec": { "modelId": "org/name" },
    });
    serde_json::from_value(resource).unwrap()
}

/// Whoever invents a client secret makes an annotation that fits to it.
#[tokio::test]
async fn an_annotation_proves_nothing_by_credentials_that_the_api_never_accepted() {
    install_crypto_provider();
    let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let invented = fleet(&simulator, "invented").await;
    let genuine = fleet(&simulator, "demo-secret").await;
    for (annotated, fleet, proves) in [
        ("invented", Some(&invented), SealedId::Unchecked),
        (
            "demo-secret",
            Some(&genuine),
            SealedId::Proven("i-1".into()),
        ),
        ("invented", Some(&genuine), SealedId::None),
        ("demo-secret", None, SealedId::Unchecked),
    ] {
        let resource = sealed_with(annotated);
        assert_eq!(check_sealed_id(&resource, fleet), proves, "{annotated}");
    }
}
