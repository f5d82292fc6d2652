//! The API refuses a call, and the resource recovers.

use std::time::Duration;

use cortecs_resources::{
    CortecsInstance,
    conditions::{READY, STALLED},
};
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::harness::{Bed, HARDWARE, MODEL, Read, bound, running};

#[tokio::test]
async fn a_400_stalls_with_the_apis_message_until_the_spec_is_fixed() {
    let bed = Bed::new("bad-context").await;
    // Where the catalog cannot tell, the API decides.
    let fails = Effect::fail(500, "not now");
    bed.api.add_fault(Fault::new(Endpoint::GetModel, fails));
    let _operator = bed.operator();
    bed.create(
        "phi",
        json!({"modelId": MODEL, "hardwareTypeId": HARDWARE, "contextLength": 999_999}),
    )
    .await;
    let resource = bed.stalls("phi", "InvalidArguments").await;
    let message = resource.message(STALLED);
    assert!(
        message.contains("context_length 999999 is out of range: 1 to 16384"),
        "{message}"
    );
    assert_eq!(
        (
            resource.message(READY),
            resource.status.as_ref().unwrap().slot().start.clone()
        ),
        (message, None)
    );
    bed.wait_lists(3).await;
    assert_eq!(
        bed.starts(),
        1,
        "it is not tried again before something changes"
    );

    bed.change("phi", json!({"contextLength": 16_000})).await;
    bed.runs("phi").await;
    assert_eq!((bed.starts(), bed.existing().len()), (2, 1));
}

#[tokio::test]
async fn an_unknown_model_stalls_with_its_name_and_starts_nothing() {
    let bed = Bed::new("no-model").await;
    let _operator = bed.operator();
    for (misspelt, help) in [
        ("nobody/nothing", "correct spec.modelId"),
        ("microsft/phi4", "did you mean microsoft/phi-4"),
    ] {
        let spec = json!({"modelId": misspelt});
        match bed.instances.all().is_empty() {
            true => drop(bed.create("phi", spec).await),
            false => bed.change("phi", spec).await,
        }
        let said = |r: &CortecsInstance| {
            let message = r.message(STALLED);
            message.contains(misspelt) && message.contains(help)
        };
        let resource = bed.wait("phi", "told what to do", said).await;
        assert_eq!(resource.reason("Ready"), "InvalidArguments");
    }
    bed.wait_lists(2).await;
    assert_eq!(bed.starts(), 0);
    bed.change("phi", json!({"modelId": MODEL})).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn unknown_hardware_stalls_with_a_list_of_the_known_one() {
    let bed = Bed::new("no-hardware").await;
    let _operator = bed.operator();
    bed.create(
        "phi",
        json!({"modelId": MODEL, "hardwareTypeId": "NVIDIA_H100_8"}),
    )
    .await;
    let resource = bed.stalls("phi", "InvalidArguments").await;
    let message = resource.message(STALLED);
    assert!(
        message.contains("NVIDIA_H100_8") && message.contains(HARDWARE),
        "{message}"
    );
    bed.change("phi", json!({"hardwareTypeId": null})).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn more_context_than_the_catalog_permits_is_not_asked_for() {
    let bed = Bed::new("context").await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL, "contextLength": 999_999}))
        .await;
    let resource = bed.stalls("phi", "InvalidArguments").await;
    resource.assert_says(STALLED, &format!("16384 tokens of context on {HARDWARE}"));
    bed.wait_lists(2).await;
    assert_eq!(bed.starts(), 0);
    bed.change("phi", json!({"contextLength": null})).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn a_403_with_a_page_of_html_shows_no_html() {
    let bed = Bed::new("html").await;
    bed.api.add_fault(Fault::once(
        Endpoint::Start,
        Effect::html(When::Before, 403),
    ));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed
        .wait("phi", "stalled", |r| {
            r.is_current() && r.condition(STALLED).is_some()
        })
        .await;
    let message = resource.message(STALLED);
    assert!(
        message.contains("403") && !message.contains('<'),
        "{message}"
    );
    // After any change of the spec the operator tries again.
    bed.change("phi", json!({"progressDeadlineSeconds": 100}))
        .await;
    bed.runs("phi").await;
    assert_eq!((bed.starts(), bed.existing().len()), (2, 1));
}

#[tokio::test]
async fn a_429_is_tried_again_after_the_time_that_it_names() {
    let bed = Bed::new("rate-limit").await;
    let wait = Duration::from_secs(3);
    bed.api
        .add_fault(Fault::new(Endpoint::Start, Effect::rate_limit(wait)).times(2));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let held = bed
        .wait("phi", "retrying", |r| {
            r.reason(READY) == "RetryingAfterError"
        })
        .await;
    held.assert_says(READY, "429");
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!(bed.existing(), [bound(&resource)]);
    let starts: Vec<_> = bed
        .api
        .requests()
        .into_iter()
        .filter(|r| r.endpoint == Endpoint::Start)
        .collect();
    assert_eq!(starts.len(), 3);
    for pair in starts.windows(2) {
        let waited = Duration::try_from(pair[1].at.duration_since(pair[0].at)).unwrap();
        assert!(waited >= wait, "{waited:?}");
    }
}

#[tokio::test]
async fn a_start_without_progress_stalls_after_its_deadline_and_may_still_succeed() {
    let bed = Bed::builder("deadline")
        .step(Duration::from_secs(3))
        .build()
        .await;
    let _operator = bed.operator();
    bed.create(
        "phi",
        json!({"modelId": MODEL, "progressDeadlineSeconds": 3}),
    )
    .await;
    bed.stalls("phi", "ProgressDeadlineExceeded").await;
    bed.runs("phi").await;
    assert_eq!((bed.starts(), bed.existing().len()), (1, 1));
}
