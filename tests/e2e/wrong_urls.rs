//! `apiUrl` leads elsewhere. The account says so, with what was asked and answered, and instances ask nothing.

use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::harness::{Bed, MODEL, Read, stalled_because};

/// Waits until the account says what was answered, and a resource that uses it says so, too. Nothing else was asked.
async fn is_told(bed: &Bed, says: &[&str]) {
    bed.create("phi", json!({"modelId": MODEL})).await;
    let account = bed.account_stalls("ApiUrlInvalid").await;
    let message = account.message("Stalled").to_owned();
    for part in says {
        assert!(message.contains(part), "{message}");
    }
    let waits = stalled_because("ApiUrlInvalid");
    let resource = bed.wait("phi", "told why it waits", waits).await;
    assert!(resource.message("Stalled").contains(says[0]));
    for asked in [Endpoint::GetModel, Endpoint::ListModels, Endpoint::Start] {
        assert_eq!(bed.api.count(asked), 0, "{asked:?}");
    }
}

#[tokio::test]
async fn a_wrong_path_is_named() {
    let bed = Bed::new("wrong-path").await;
    let wrong = format!("{}/api", bed.api_url);
    bed.patch_account(json!({"apiUrl": wrong})).await;
    let _operator = bed.operator();
    let asked = format!("POST {wrong}/oauth2/token was answered with HTTP 404");
    is_told(&bed, &["apiUrl is probably wrong", &asked]).await;
    bed.patch_account(json!({"apiUrl": bed.api_url})).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn where_a_redirect_leads_is_said_and_it_is_not_followed() {
    for (code, endpoint, asked) in [
        (308, Endpoint::Token, "POST"),
        (301, Endpoint::Token, "POST"),
        (302, Endpoint::ListInstances, "GET"),
    ] {
        let bed = Bed::new("redirected").await;
        let to = "https://elsewhere.example/login?ticket=1234";
        let redirect = Effect::redirect(code, to);
        bed.api.add_fault(Fault::new(endpoint, redirect));
        let _operator = bed.operator();
        let answer = format!("was answered with HTTP {code}, to https://elsewhere.example/login");
        is_told(&bed, &["apiUrl is probably wrong", asked, &answer]).await;
        let account = bed.account_stalls("ApiUrlInvalid").await;
        assert!(!account.message("Stalled").contains("1234"));
        bed.api.clear_faults();
        bed.runs("phi").await;
    }
}

#[tokio::test]
async fn a_page_instead_of_a_token_or_a_list_is_named() {
    for (endpoint, asked) in [
        (Endpoint::Token, "/oauth2/token"),
        (Endpoint::ListInstances, "/instances/"),
    ] {
        let bed = Bed::new("page").await;
        let page = Effect::html(When::Before, 200);
        bed.api.add_fault(Fault::new(endpoint, page));
        let _operator = bed.operator();
        let answer = format!("{asked} was answered with HTTP 200");
        is_told(&bed, &["apiUrl is probably wrong", &answer]).await;
        bed.api.clear_faults();
        bed.runs("phi").await;
    }
}

/// What worked before and leads elsewhere for a while is no wrong URL.
#[tokio::test]
async fn a_passing_404_of_an_api_that_worked_before_is_an_outage() {
    let bed = Bed::new("passing-404").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    let gone = Effect::fail(404, "Not Found");
    bed.api.add_fault(Fault::new(Endpoint::ListInstances, gone));
    bed.wait_account("told", |a| a.reason("Stalled") == "ListRefused")
        .await;
    bed.api.clear_faults();
    bed.wait_account("verified", |a| a.reason("Ready") == "Verified")
        .await;
    assert_eq!(bed.changes(), [1, 0, 0, 0]);
}
