use cortecs_api::{ClientConfig, Credentials, install_crypto_provider};
use cortecs_simulator::{Effect, Endpoint, Fault, Simulator, SimulatorConfig};
use futures::future::join_all;
use secrecy::SecretString;

use super::*;

pub(in crate::catalog) async fn simulator() -> (Simulator, Client) {
    install_crypto_provider();
    let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let credentials = Credentials {
        client_id: "demo".to_owned(),
        client_secret: SecretString::from("demo-secret"),
    };
    let client = Client::new(ClientConfig::new(simulator.api_url(), credentials)).unwrap();
    (simulator, client)
}

async fn some_model(client: &Client) -> String {
    let model = client.list_models().await.unwrap().swap_remove(0);
    model.model_name.unwrap_or(model.model_id)
}

fn calls(simulator: &Simulator) -> u64 {
    simulator.handle().count(Endpoint::GetModel)
}

/// Makes all cached answers stale.
fn expire(catalog: &Catalog) {
    for slot in catalog.slots().values() {
        if let Some(known) = &mut *slot.known() {
            known.good_until = Moment::default();
        }
    }
}

#[tokio::test]
async fn concurrent_requests_for_one_model_make_one_call() {
    let (simulator, client) = simulator().await;
    let (catalog, id) = (Catalog::default(), some_model(&client).await);
    assert_eq!(catalog.cached("api", &id), None);
    let answers = join_all((0..50).map(|_| catalog.model(&client, "api", &id, |_| ()))).await;
    let model = answers[0].clone().unwrap();
    assert!(model.recommended_config.is_some());
    assert!(
        answers
            .iter()
            .all(|answer| Arc::ptr_eq(answer.as_ref().unwrap(), &model))
    );
    assert!(Arc::ptr_eq(
        &catalog.cached("api", &id).unwrap().unwrap(),
        &model
    ));
    assert_eq!(calls(&simulator), 1);
    // Another API has its own catalog.
    catalog.model(&client, "other", &id, |_| ()).await.unwrap();
    assert_eq!(calls(&simulator), 2);
}

#[tokio::test]
async fn a_refusal_is_cached_as_terminal() {
    let (simulator, client) = simulator().await;
    let catalog = Catalog::default();
    let error = catalog
        .model(&client, "api", "no--such", |_| ())
        .await
        .unwrap_err();
    assert!(error.terminal, "{error}");
    assert_eq!(
        catalog.model(&client, "api", "no--such", |_| ()).await,
        Err(error.clone())
    );
    assert_eq!(catalog.cached("api", "no--such"), Some(Err(error)));
    assert_eq!(calls(&simulator), 1);
    // Names are offered where some are alike, and the catalog is listed once for each refusal.
    assert!(
        catalog
            .cached("api", "no--such")
            .unwrap()
            .unwrap_err()
            .nearest
            .is_empty()
    );
    let misspelt = catalog.model(&client, "api", "microsft--phi4", |_| ());
    assert_eq!(misspelt.await.unwrap_err().nearest, ["microsoft/phi-4"]);
    assert_eq!(simulator.handle().count(Endpoint::ListModels), 2);
}

#[tokio::test]
async fn after_a_passing_failure_the_cached_model_is_used() {
    let (simulator, client) = simulator().await;
    let (catalog, id) = (Catalog::default(), some_model(&client).await);
    let fault = || Fault::new(Endpoint::GetModel, Effect::fail(503, "later")).times(1);
    simulator.handle().add_fault(fault());
    let error = catalog
        .model(&client, "api", &id, |_| ())
        .await
        .unwrap_err();
    assert!(!error.terminal, "{error}");
    expire(&catalog);
    let model = catalog.model(&client, "api", &id, |_| ()).await.unwrap();
    expire(&catalog);
    assert_eq!(catalog.cached("api", &id), None);
    simulator.handle().add_fault(fault());
    assert!(Arc::ptr_eq(
        &catalog.model(&client, "api", &id, |_| ()).await.unwrap(),
        &model
    ));
    assert_eq!(calls(&simulator), 3);
}

/// A model that the API may have changed long ago is no reason to refuse anything.
#[tokio::test]
async fn an_old_model_is_not_used_when_the_catalog_cannot_be_asked() {
    let (simulator, client) = simulator().await;
    simulator.handle().set_down(true);
    let error = client.get_model("any").await.unwrap_err();
    let slot = Slot::default();
    let at = |seconds: u64| Moment::from_boot(Duration::from_secs(10_000 + seconds));
    let fails = || Err(error.clone());
    let update = |result, second| slot.update(result, Vec::new(), at(second), at(second));
    update(Ok(Model::default()), 0).unwrap();
    update(fails(), 600).unwrap();
    update(fails(), 3_599).unwrap();
    assert!(!update(fails(), 3_600).unwrap_err().terminal);
    update(Ok(Model::default()), 4_000).unwrap();
    update(fails(), 7_599).unwrap();
}

#[test]
fn the_cache_is_bounded_and_drops_the_oldest() {
    let catalog = Catalog::default();
    let learn = |n: u64| {
        let at = Moment::from_boot(Duration::from_secs(n));
        let slot = catalog.slot("api", &n.to_string());
        slot.update(Ok(Model::default()), Vec::new(), at, clock::moment())
            .unwrap();
    };
    let limit = MAX_MODELS as u64;
    (0..limit + 10).for_each(learn);
    assert_eq!(catalog.slots().len(), MAX_MODELS);
    assert!(catalog.cached("api", "9").is_none());
    assert!(catalog.cached("api", "10").is_some());
    assert!(catalog.cached("api", &(limit + 9).to_string()).is_some());
}
