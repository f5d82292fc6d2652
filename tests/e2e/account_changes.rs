//! A resource comes to name another account than the one that its instance was started in. The operator starts nothing twice
//! and loses nothing, and the resource is ready again when the change is taken back.

use cortecs_resources::{
    CortecsInstance,
    conditions::{READY, STALLED},
    instance_status::Phase,
    key::ObjectKey,
};
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use futures::future::join_all;
use serde_json::json;

use crate::harness::{
    Bed, CLIENT_ID, MODEL, Operator, Read, bound, phase_is, polls_every_second, running,
    stalled_because,
};

const OTHER_CLIENT: &str = "other-tester";

/// What changes so that the resource names another account.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    /// `spec.accountRef`.
    Reference,
    /// The operator's `--default-account`.
    Default,
    /// The account's `spec.apiUrl`.
    Url,
    /// The client id in the account's Secret.
    ClientId,
}

const CHANGES: [Change; 4] = [
    Change::Reference,
    Change::Default,
    Change::Url,
    Change::ClientId,
];

async fn bed() -> Bed {
    let bed = Bed::builder("account-changed")
        .other_client(OTHER_CLIENT)
        .build()
        .await;
    bed.create_account("second", polls_every_second()).await;
    bed
}

/// Makes the change, or takes it back.
async fn make(bed: &mut Bed, change: Change, back: bool, operator: Operator) -> Operator {
    match change {
        Change::Reference => {
            let reference = if back {
                json!(null)
            } else {
                json!({"name": "second"})
            };
            bed.change("phi", json!({"accountRef": reference})).await;
            operator
        }
        Change::Default => {
            operator.kill();
            bed.config.default_account = Some(ObjectKey {
                namespace: bed.namespace.clone(),
                name: if back { "main" } else { "second" }.to_owned(),
            });
            bed.operator()
        }
        Change::Url => {
            let elsewhere = if back { "" } else { "/elsewhere" };
            let url = format!("{}{elsewhere}", bed.api_url);
            bed.patch_account(json!({"apiUrl": url})).await;
            operator
        }
        Change::ClientId => {
            // A running operator reads the Secret once a minute, a new one at once.
            operator.kill();
            let client_id = if back { CLIENT_ID } else { OTHER_CLIENT };
            bed.write_secret(client_id, &bed.client_secret).await;
            bed.operator()
        }
    }
}

async fn each<F: Future<Output = ()>>(test: impl Fn(Change) -> F) {
    join_all(CHANGES.map(test)).await;
}

fn is_changed(resource: &CortecsInstance) -> bool {
    stalled_because("AccountChanged")(resource)
}

#[tokio::test]
async fn a_running_instance_is_left_alone_until_the_resource_names_its_account_again() {
    each(|change| async move {
        let mut bed = bed().await;
        let operator = bed.operator();
        let id = bed.run("phi", json!({"modelId": MODEL})).await;
        let operator = make(&mut bed, change, false, operator).await;
        let resource = bed.wait("phi", "stalled", is_changed).await;
        let message = resource.message(STALLED);
        assert!(
            message.contains(CLIENT_ID) && message.contains("main"),
            "{message}"
        );
        bed.wait_lists(6).await;
        assert_eq!(
            (bed.existing(), bed.starts()),
            (vec![id.clone()], 1),
            "{change:?}"
        );

        let _operator = make(&mut bed, change, true, operator).await;
        assert_eq!(bed.runs("phi").await, id, "{change:?}");
        bed.wait_lists(2).await;
        assert_eq!(bed.changes(), [1, 0, 0, 0], "{change:?}");
    })
    .await;
}

/// Lets lists be empty, and one start have its effect without an answer.
fn hide(bed: &Bed) {
    let empty = Effect::raw(200, r#"{"instances":[]}"#);
    let lost = Effect::reset(When::After);
    bed.api
        .add_fault(Fault::new(Endpoint::ListInstances, empty));
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
}

#[tokio::test]
async fn a_start_whose_outcome_is_unknown_waits_for_its_account() {
    each(|change| async move {
        let mut bed = bed().await;
        hide(&bed);
        let operator = bed.operator();
        bed.create("phi", json!({"modelId": MODEL})).await;
        bed.wait("phi", "resolving", |r| r.reason(READY) == "ResolvingStart")
            .await;
        let operator = make(&mut bed, change, false, operator).await;
        bed.wait("phi", "stalled", is_changed).await;
        // These lists take longer than the settle time.
        bed.wait_lists(8).await;
        let resource = bed.wait("phi", "stalled", is_changed).await;
        let status = resource.status.as_ref().unwrap();
        assert!(
            status.slot().start.is_some() && status.journal.voided_starts.is_empty(),
            "{change:?}"
        );
        assert_eq!(bed.starts(), 1, "{change:?}");

        // Lists show the instance again, before the operator may act on them.
        bed.api.clear_faults();
        bed.wait_lists(3).await;
        let _operator = make(&mut bed, change, true, operator).await;
        let resource = bed.wait("phi", "running", running).await;
        assert_eq!(
            (bed.existing(), bed.starts()),
            (vec![bound(&resource).to_owned()], 1),
            "{change:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_deletion_happens_in_the_account_of_the_instance_or_waits_for_its_credentials() {
    each(|change| async move {
        for open in [false, true] {
            let mut bed = bed().await;
            if open {
                hide(&bed);
            }
            let operator = bed.operator();
            bed.create("phi", json!({"modelId": MODEL})).await;
            if open {
                bed.wait("phi", "resolving", |r| r.reason(READY) == "ResolvingStart")
                    .await;
            } else {
                bed.runs("phi").await;
            }
            let operator = make(&mut bed, change, false, operator).await;
            bed.wait("phi", "stalled", is_changed).await;
            bed.api.clear_faults();
            bed.delete("phi").await;
            let _operator = if change == Change::ClientId {
                // This operator never had the credentials that the instance was started with.
                bed.wait("phi", "waiting", |r| {
                    r.metadata.deletion_timestamp.is_some() && is_changed(r)
                })
                .await;
                if !open {
                    bed.wait("phi", "deleting", phase_is(Phase::Deleting)).await;
                }
                bed.wait_lists(6).await;
                assert_eq!(bed.existing().len(), 1, "{change:?}");
                make(&mut bed, change, true, operator).await
            } else {
                operator
            };
            bed.wait_gone("phi").await;
            assert_eq!(
                (bed.existing(), bed.starts()),
                (Vec::new(), 1),
                "{change:?} {open}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn another_spelling_of_the_url_is_no_other_account() {
    let bed = bed().await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.patch_account(json!({"apiUrl": format!("{}/", bed.api_url)}))
        .await;
    bed.wait_lists(3).await;
    assert_eq!(bed.runs("phi").await, id);
    assert!(!bed.versions("phi").iter().any(|r| is_changed(r)));
}
