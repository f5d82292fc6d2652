//! The API says of an instance what this version does not know: it is shown, and orders are obeyed.

use cortecs_resources::{CortecsInstance, instance_status::Phase};
use cortecs_simulator::{Effect, Endpoint, Fault, Notation, Rewrite, When};
use serde_json::{Value, json};

use crate::harness::{Bed, MODEL, Read, phase_is, stalled_because};

/// The API calls instances in the state `from`, or in any state, by another word.
fn says(bed: &Bed, from: Option<&str>, word: &str) {
    bed.api.rewrite([Rewrite {
        name: "status".to_owned(),
        from: from.map(Value::from),
        to: Notation::Value(json!(word)),
    }]);
}

/// A resource whose instance ran and is in a state of this name from then on.
async fn in_state(name: &'static str, from: Option<&str>, word: &str) -> (Bed, impl Sized) {
    let bed = Bed::new(name).await;
    let operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    says(&bed, from, word);
    (bed, operator)
}

#[tokio::test]
async fn a_broken_instance_is_told_at_once_with_the_apis_word() {
    for word in ["failed", "ERROR", "start_failed: out of memory"] {
        let (bed, _operator) = in_state("broken", Some("running"), word).await;
        let resource = bed
            .wait("phi", "stalled", stalled_because("UnknownState"))
            .await;
        assert!(phase_is(Phase::Failed)(&resource));
        let said = resource.message("Ready").to_owned();
        assert!(said.contains(&format!("{word:?}")), "{said}");
        assert_eq!(bed.changes(), [1, 0, 0, 0]);
    }
}

#[tokio::test]
async fn an_instance_in_an_unknown_state_is_waited_for_and_its_word_is_shown() {
    let (bed, _operator) = in_state("resting", Some("running"), "resting").await;
    let unknown = |r: &CortecsInstance| {
        r.reason("Reconciling") == "UnknownState" && r.message("Ready").contains("\"resting\"")
    };
    bed.wait("phi", "unknown", unknown).await;
    bed.change("phi", json!({"progressDeadlineSeconds": 3}))
        .await;
    let resource = bed
        .wait("phi", "stalled", stalled_because("UnknownState"))
        .await;
    let said = resource.message("Ready").to_owned();
    assert!(
        said.contains("\"resting\"") && said.contains("within 3 s"),
        "{said}"
    );
    bed.api.rewrite([]);
    bed.runs("phi").await;
    assert_eq!(bed.changes(), [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_restart_of_a_broken_instance_is_made() {
    let (bed, _operator) = in_state("broken-restart", Some("running"), "failed").await;
    bed.wait("phi", "stalled", stalled_because("UnknownState"))
        .await;
    // Its answer is lost, and what follows is odd again.
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Restart, lost));
    bed.annotate("phi", "cortecs.ai/restartedAt", "now").await;
    bed.wait_api("restart", |view| view.count(Endpoint::Restart) == 1)
        .await;
    bed.wait_lists(2).await;
    bed.api.rewrite([]);
    bed.runs("phi").await;
    assert_eq!(bed.changes(), [1, 1, 1, 0]);
}

#[tokio::test]
async fn a_changed_spec_replaces_a_broken_instance() {
    for from in [Some("running"), None] {
        let (bed, _operator) = in_state("broken-replace", from, "failed").await;
        bed.wait("phi", "stalled", stalled_because("UnknownState"))
            .await;
        bed.change("phi", json!({"numWorkers": 2})).await;
        bed.wait_api("start anew", |view| view.count(Endpoint::Start) == 2)
            .await;
        bed.api.rewrite([]);
        bed.runs("phi").await;
        assert_eq!((bed.existing().len(), bed.starts()), (1, 2), "{from:?}");
    }
}

#[tokio::test]
async fn a_stop_and_a_deletion_are_made_in_any_state() {
    let (bed, _operator) = in_state("odd-parting", None, "resting").await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait_api("stop", |view| view.count(Endpoint::Stop) >= 1)
        .await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [""; 0]);
}
