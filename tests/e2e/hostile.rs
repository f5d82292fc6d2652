//! The API sends answers that are invalid or malicious. They make the operator lose, start or delete nothing. The conditions of
//! the resource and the account say what is wrong, and the operator goes on after the answers are good again.

use cortecs_api::types::Instance;
use cortecs_resources::{
    annotations::RESOLVE_START,
    conditions::{READY, RECONCILING, STALLED},
};
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::{Value, json};

use crate::harness::{
    Bed, CLIENT_ID, MODEL, MODEL_ID, OTHER_MODEL, Read, bound, running, stalled_because, stopped,
};

/// A text that would change a terminal, a web page or a path if the operator passed it on as it is.
const ODD: &str = "\u{0}\u{1b}[31m\u{202e}<b>/../delete-all?force_deletion=true#";

/// Answers 200 with this body instead of the true answer.
fn answer(endpoint: Endpoint, body: impl Into<String>) -> Fault {
    let effect = Effect::raw(200, body.into());
    Fault::new(endpoint, effect)
}

/// Answers the true list with a change to each instance.
fn list_with(bed: &Bed, change: impl Fn(&mut Value)) -> Fault {
    let instances: Vec<Value> = bed
        .api
        .instances(CLIENT_ID)
        .iter()
        .map(|instance: &Instance| {
            let mut value = serde_json::to_value(instance).unwrap();
            change(&mut value);
            value
        })
        .collect();
    let body = json!({ "instances": instances }).to_string();
    answer(Endpoint::ListInstances, body)
}

/// The number of calls to the API that change something, or that the API does not know.
fn changes(bed: &Bed) -> u64 {
    use Endpoint::{Delete, DeleteAll, Restart, Start, Stop, StopAll, Unknown};
    [Start, Restart, Stop, StopAll, Delete, DeleteAll, Unknown]
        .into_iter()
        .map(|endpoint| bed.api.count(endpoint))
        .sum()
}

#[tokio::test]
async fn a_list_with_one_invalid_entry_is_not_used() {
    let bed = Bed::new("bad-list").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.run("off", json!({"modelId": OTHER_MODEL})).await;
    bed.change("off", json!({"state": "Stopped"})).await;
    bed.wait("off", "stopped", stopped).await;
    let before = changes(&bed);
    let good = serde_json::to_value(&bed.api.instances(CLIENT_ID)[0]).unwrap();
    let other = |id: &str| {
        let mut other = good.clone();
        other["instance_id"] = json!(id);
        other
    };
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let list = |items: &[Value]| {
        answer(
            Endpoint::ListInstances,
            json!({ "instances": items }).to_string(),
        )
    };
    for fault in [
        list(&[good.clone(), json!({})]),
        list(&[good.clone(), other("")]),
        list(&[good.clone(), good.clone()]),
        list(&[other("i\u{0}1")]),
        answer(Endpoint::ListInstances, r#"{"instances":null}"#),
        answer(Endpoint::ListInstances, "[]"),
        answer(
            Endpoint::ListInstances,
            format!(r#"{{"instances":{deep}}}"#),
        ),
        Fault::new(
            Endpoint::ListInstances,
            Effect::HugeBody { bytes: 100 << 20 },
        ),
        Fault::new(Endpoint::ListInstances, Effect::TruncatedBody),
        Fault::new(Endpoint::ListInstances, Effect::html(When::Before, 200)),
    ] {
        bed.api.add_fault(fault);
        bed.wait_lists(1).await;
        bed.api.clear_faults();
        // After a failed list the interval grows; a good list resets it.
        bed.wait_lists(1).await;
    }
    // This list stays invalid.
    bed.api.add_fault(list(&[good.clone(), json!([])]));
    bed.wait_account("troubled", |a| {
        a.reason(READY) == "RetryingAfterError" && a.message(READY).contains("unexpected shape")
    })
    .await;
    // A new resource waits for a good list, and its condition says why.
    bed.create("new", json!({"modelId": MODEL})).await;
    bed.wait("new", "waiting", |r| {
        r.reason(RECONCILING) == "RetryingAfterError"
            && r.message(READY).contains("invalid response")
    })
    .await;
    assert_eq!(changes(&bed), before);
    bed.api.clear_faults();
    bed.runs("new").await;
    assert_eq!(changes(&bed), before + 1);
    let seen = bed.versions("phi");
    let first = seen.iter().position(|r| running(r)).unwrap();
    assert!(seen[first..].iter().all(|r| bound(r) == id && running(r)));
}

#[tokio::test]
async fn an_instance_in_an_unknown_state_is_left_alone() {
    let bed = Bed::new("odd-state").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    let before = changes(&bed);
    bed.api.add_fault(list_with(&bed, |i| {
        i["instance_status"]["status"] = json!(format!("hibernating{ODD}"));
    }));
    let resource = bed
        .wait("phi", "not ready", |r| !running(r) && bound(r) == id)
        .await;
    let state = resource.status.as_ref().unwrap().instance_status.as_ref();
    let state = &state.unwrap().status;
    assert!(state.starts_with("hibernating"), "{state}");
    assert!(!state.chars().any(|c| c.is_control() || c == '\u{202e}'));
    bed.wait_lists(3).await;
    assert_eq!(changes(&bed), before);
    bed.api.clear_faults();
    assert_eq!(bed.runs("phi").await, id);
    assert_eq!(changes(&bed), before);
}

#[tokio::test]
async fn values_that_the_api_server_would_refuse_are_cut_and_do_not_block_the_resource() {
    let bed = Bed::new("odd-words").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.start_unmanaged(MODEL_ID);
    let long = format!("{ODD}{}", "ä".repeat(1000));
    bed.api.add_fault(list_with(&bed, |i| {
        let step = json!({"init_progress": {"current_step": u32::MAX, "num_steps": 5, "description": long}});
        i["worker_statuses"] = json!(vec![step; 100]);
        i["base_url"] = json!(format!("https://i.example/{long}"));
        i["instance_args"] = json!({"model_id": long, "hardware_type_id": long, "billing_interval": long,
            "context_length": u32::MAX, "num_workers": u32::MAX});
        i["instance_status"] = json!({"status": "running", "started_at": long, "stopped_at": long});
        i["novelty"] = json!(long);
    }));
    let resource = bed
        .wait("phi", "shown", |r| {
            r.status
                .as_ref()
                .is_some_and(|s| s.worker_statuses.len() == 64)
        })
        .await;
    let status = resource.status.as_ref().unwrap();
    assert_eq!((bound(&resource), status.base_url.as_deref()), (&*id, None));
    assert_eq!(status.progress.as_deref(), Some("4294967295/5"));
    bed.wait_account("listing it", |a| {
        let unmanaged = a.status.as_ref().map(|s| &s.unmanaged[..]);
        unmanaged.is_some_and(|u| u.len() == 1 && u[0].args.model_id.chars().count() == 256)
    })
    .await;
    bed.api.clear_faults();
    assert_eq!(bed.runs("phi").await, id);
    assert_eq!((bed.starts(), bed.existing().len()), (1, 2));
}

#[tokio::test]
async fn an_invalid_catalog_starts_nothing_and_does_not_block_the_resource() {
    let bed = Bed::new("odd-catalog").await;
    let long = "x".repeat(5000);
    for (name, model, reason) in [
        (
            "long",
            json!({"model_name": MODEL_ID, "model_id": "1", "recommended_config": long}),
            "RetryingAfterError",
        ),
        (
            "slashes",
            json!({"model_name": "/".repeat(200), "model_id": "1", "recommended_config": "L4"}),
            "InvalidArguments",
        ),
        ("list", json!([]), "RetryingAfterError"),
    ] {
        let operator = bed.operator();
        bed.api.add_fault(answer(
            Endpoint::GetModel,
            json!({ "model": model }).to_string(),
        ));
        bed.create(name, json!({"modelId": MODEL})).await;
        let resource = bed
            .wait(name, "told why", |r| r.reason(READY) == reason)
            .await;
        assert!(!resource.message(READY).contains("xxxx"));
        assert_eq!(changes(&bed), 0);
        bed.api.clear_faults();
        bed.change(name, json!({"state": "Stopped"})).await;
        bed.wait(name, "stopped", stopped).await;
        // The next resource gets a new operator, which has no catalog in memory.
        operator.kill();
    }
    let _operator = bed.operator();
    bed.change("long", json!({"state": "Running"})).await;
    bed.runs("long").await;
}

#[tokio::test]
async fn ids_never_leave_their_place_in_a_url() {
    let bed = Bed::builder("odd-ids")
        .account(json!({"adoption": "Unclaimed"}))
        .build()
        .await;
    let others = bed.start_unmanaged(MODEL_ID);
    let ids = [
        "..",
        "../user/balance",
        "a/../../delete-all",
        "%2e%2e%2fdelete-all",
        "delete-all?force_deletion=true",
        "stop-all#",
        "ü \u{1f980}\\x",
    ];
    let _operator = bed.operator();
    // The specs name instances that do not exist.
    for (n, id) in ids.iter().enumerate() {
        let name = format!("named-{n}");
        let spec = json!({"modelId": MODEL, "adopt": {"instanceId": id}});
        bed.create(&name, spec).await;
        bed.stalls(&name, "InstanceNotFound").await;
        bed.annotate(&name, RESOLVE_START, id).await;
    }
    assert_eq!(changes(&bed), 0);
    for n in 0..ids.len() {
        bed.delete(&format!("named-{n}")).await;
        bed.wait_gone(&format!("named-{n}")).await;
    }
    // The API lists instances with these ids. No resource adopts an instance whose id cannot stand in a path, and each call
    // about one of the others is about one instance.
    let mut odd = serde_json::to_value(&bed.api.instances(CLIENT_ID)[0]).unwrap();
    let listed: Vec<Value> = ids
        .iter()
        .filter(|id| **id != "..")
        .map(|id| {
            odd["instance_id"] = json!(id);
            odd.clone()
        })
        .collect();
    bed.api.add_fault(answer(
        Endpoint::ListInstances,
        json!({ "instances": listed }).to_string(),
    ));
    for (n, id) in ids.iter().enumerate().skip(1) {
        let name = format!("listed-{n}");
        let spec = json!({"modelId": MODEL, "adopt": {"instanceId": id}, "state": "Running"});
        bed.create(&name, spec).await;
        if !["%2e%2e%2fdelete-all", "ü \u{1f980}\\x"].contains(id) {
            let told = stalled_because("AdoptionNotAllowed");
            let resource = bed.wait(&name, "refused", told).await;
            assert_eq!(bound(&resource), "");
            bed.delete(&name).await;
            bed.wait_gone(&name).await;
            continue;
        }
        bed.wait(&name, "bound", |r| bound(r) == *id).await;
        bed.change(&name, json!({"state": "Stopped"})).await;
        bed.wait(&name, "refused or told that it is not there", |r| {
            r.is_current() && !r.message(READY).is_empty() && !running(r)
        })
        .await;
        bed.delete(&name).await;
    }
    bed.wait_lists(2).await;
    for endpoint in [Endpoint::DeleteAll, Endpoint::StopAll] {
        assert_eq!(bed.api.count(endpoint), 0, "{endpoint:?}");
    }
    // The operator itself has asked for it once.
    assert_eq!(bed.api.count(Endpoint::Balance), 1);
    assert_eq!(bed.existing(), [others]);
    bed.api.clear_faults();
}

#[tokio::test]
async fn the_message_of_a_refusal_is_shown_as_plain_text_without_the_secret() {
    let bed = Bed::new("odd-refusal").await;
    let secret = bed.client_secret.clone();
    let said = format!(
        "no\u{0} \u{202e}such\r\n thing {secret} {}",
        "ä".repeat(9000)
    );
    bed.api
        .add_fault(Fault::new(Endpoint::Start, Effect::fail(400, said)));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed.stalls("phi", "InvalidArguments").await;
    let message = resource.message(STALLED);
    assert!(message.contains("thing *** ä"), "{message}");
    assert!(!message.contains(&secret) && message.chars().count() < 400);
    assert!(!message.chars().any(|c| c.is_control() || c == '\u{202e}'));
    assert_eq!((bed.starts(), bed.existing().len()), (1, 0));
}
