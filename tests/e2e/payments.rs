//! The API refuses starts and restarts for lack of money, by an answer after which the outcome counts as unknown.

use cortecs_resources::{CortecsInstance, conditions::STALLED};
use cortecs_simulator::{Effect, Endpoint, Fault};
use serde_json::json;

use crate::harness::{Bed, MODEL, Read, is_ready, stopped};

const WORDS: &str = "Insufficient balance: top up your account";

#[tokio::test]
async fn what_the_api_says_about_money_reaches_the_resource_and_the_account() {
    let bed = Bed::new("unpaid").await;
    let refuses = |endpoint| Fault::new(endpoint, Effect::fail(402, WORDS));
    bed.api.add_fault(refuses(Endpoint::Start));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let says = |r: &CortecsInstance| r.message("Ready").contains(WORDS);
    bed.wait("phi", "told why", says).await;
    let account = bed.account_stalls("InsufficientBalance").await;
    assert!(account.message(STALLED).contains(WORDS));
    // The third in a row is no passing failure any more.
    let stalled = bed.stalls("phi", "CallRefused").await;
    assert!(stalled.message(STALLED).contains(WORDS));
    assert_eq!(bed.ever().len(), 0);

    bed.api.clear_faults();
    let id = bed.runs("phi").await;
    bed.wait_account("ready", is_ready).await;
    assert_eq!(bed.existing(), [id]);
}

#[tokio::test]
async fn what_the_api_says_against_a_restart_reaches_the_resource() {
    let bed = Bed::new("unpaid-restart").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    let refuses = Effect::fail(402, WORDS);
    bed.api.add_fault(Fault::new(Endpoint::Restart, refuses));
    bed.change("phi", json!({"state": "Running"})).await;
    let says = |r: &CortecsInstance| r.message("Ready").contains(WORDS);
    bed.wait("phi", "told why", says).await;
    bed.account_stalls("InsufficientBalance").await;
    bed.api.clear_faults();
    assert_eq!(bed.runs("phi").await, id);
    bed.wait_account("ready", is_ready).await;
}
