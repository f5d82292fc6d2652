//! `mode: StopAll` of an account: every instance of the owner is stopped, and what should run runs again afterwards.

use cortecs_api::types::InstanceState;
use cortecs_resources::{CortecsAccount, conditions::READY, stop_all::StopAll};
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::harness::{
    Bed, CLIENT_ID, MODEL, MODEL_ID, Read, SOON,
    crowd::{NAMES, crowd, hold, is_held, list_only},
    is_ready, polls_every_second, stalled_because, stopped,
};

fn record(account: &CortecsAccount) -> Option<&StopAll> {
    account.status.as_ref()?.stop_all.as_ref()
}

fn all_stopped(account: &CortecsAccount) -> bool {
    is_ready(account) && account.reason(READY) == "AllStopped"
}

fn calls(bed: &Bed) -> u64 {
    bed.api.count(Endpoint::StopAll)
}

/// The instances that are pending or running.
fn up(bed: &Bed) -> Vec<String> {
    let instances = bed.api.instances(CLIENT_ID).into_iter();
    let up = instances.filter(|i| i.instance_status.status != InstanceState::Stopped);
    up.map(|i| i.instance_id).collect()
}

async fn set_mode(bed: &Bed, mode: &str) {
    bed.patch_account(json!({"mode": mode})).await;
}

/// Waits until the order is over, and the resources have taken note.
async fn is_over(bed: &Bed) {
    bed.wait_account("over", |a| is_ready(a) && record(a).is_none())
        .await;
}

fn assert_no_hold(bed: &Bed) {
    let held: Vec<_> = bed.account_versions();
    assert!(held.iter().all(|a| hold(a).is_none()), "a hold began");
}

#[tokio::test]
async fn everything_is_stopped_and_kept_so_and_what_should_run_runs_again_afterwards() {
    let bed = Bed::new("stop-all").await;
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    let accepting = json!({"modelId": MODEL, "driftPolicy": "Accept"});
    let accepting = bed.run("accepting", accepting).await;
    let at_rest = bed.run("at-rest", json!({"modelId": MODEL})).await;
    bed.change("at-rest", json!({"state": "Stopped"})).await;
    bed.wait("at-rest", "stopped", stopped).await;
    let stray = bed.start_unmanaged(MODEL_ID);

    set_mode(&bed, "StopAll").await;
    let account = bed.wait_account("stopped", all_stopped).await;
    assert_eq!(up(&bed), Vec::<String>::new());
    assert_eq!((calls(&bed), record(&account).unwrap().stopped), (1, 7));
    for name in NAMES.into_iter().chain(["accepting"]) {
        let resource = bed.stalls(name, "AccountHeld").await;
        resource.assert_says(READY, "StopAll");
    }
    bed.wait("at-rest", "stopped", stopped).await;
    bed.create("another", json!({"modelId": MODEL})).await;
    bed.stalls("another", "AccountHeld").await;

    // What another person starts is stopped, too. Else nothing is called and nothing is written.
    let late = bed.start_unmanaged(MODEL_ID);
    bed.wait_account("stopped again", |a| {
        record(a).is_some_and(|r| r.stopped == 8)
    })
    .await;
    bed.wait_account("stopped", all_stopped).await;
    let written = bed.account_versions().len();
    bed.wait_lists(4).await;
    assert_eq!((calls(&bed), bed.account_versions().len()), (2, written));
    assert_eq!(bed.changes(), [7, 0, 1, 0]);
    let events = bed
        .kubectl_text(&["get", "events", "--field-selector", "reason=StoppedAll"])
        .await;
    assert!(
        events.contains("7 instances") && events.contains("1 instance of"),
        "{events}"
    );

    set_mode(&bed, "Active").await;
    assert_eq!(bed.all_run(&NAMES).await, ids);
    assert_eq!(bed.runs("accepting").await, accepting);
    bed.runs("another").await;
    is_over(&bed).await;
    bed.wait_lists(3).await;
    for id in [&at_rest, &stray, &late] {
        assert_eq!(bed.state_of(id), Some(InstanceState::Stopped));
    }
    assert_eq!((bed.changes(), calls(&bed)), ([8, 6, 1, 0], 2));
    assert_no_hold(&bed);
}

#[tokio::test]
async fn what_was_stopped_before_a_crash_is_no_mass_change_after_it() {
    for (name, stays) in [("stop-all-crash", true), ("stop-all-crash-back", false)] {
        let bed = Bed::new(name).await;
        let operator = bed.operator();
        let ids = crowd(&bed).await;
        let accepting = json!({"modelId": MODEL, "driftPolicy": "Accept"});
        let accepting = bed.run("accepting", accepting).await;
        // Lists go on to show that all run, and the answer to the call is lost.
        list_only(&bed, 6);
        let lost = Effect::reset(When::After);
        bed.api.add_fault(Fault::new(Endpoint::StopAll, lost));
        set_mode(&bed, "StopAll").await;
        bed.wait_api("stop all", |v| v.count(Endpoint::StopAll) > 0)
            .await;
        operator.kill();
        assert_eq!(up(&bed), Vec::<String>::new());
        bed.api.clear_faults();
        if !stays {
            set_mode(&bed, "Active").await;
        }

        let _operator = bed.operator();
        if stays {
            bed.wait_account("stopped", all_stopped).await;
            bed.wait_lists(3).await;
            assert_eq!((bed.changes(), up(&bed)), ([6, 0, 0, 0], vec![]));
            set_mode(&bed, "Active").await;
        }
        // The statuses may still show what ran before the crash.
        bed.wait_api("restarts", |v| v.count(Endpoint::Restart) > 5)
            .await;
        assert_eq!(bed.all_run(&NAMES).await, ids, "{name}");
        assert_eq!(bed.runs("accepting").await, accepting, "{name}");
        is_over(&bed).await;
        assert_eq!(bed.changes(), [6, 6, 0, 0], "{name}");
        assert_no_hold(&bed);
    }
}

#[tokio::test]
async fn nothing_is_stopped_where_the_account_is_shared_or_another_one_disagrees() {
    let bed = Bed::builder("stop-all-refused")
        .account(json!({"mode": "StopAll", "sharing": "Shared"}))
        .build()
        .await;
    let stray = bed.start_unmanaged(MODEL_ID);
    bed.create_account("second", polls_every_second()).await;
    let _operator = bed.operator();
    let refused = async |why: &str| {
        let account = bed
            .wait_account(why, |a| {
                stalled_because("StopAllRefused")(a) && a.message(READY).contains(why)
            })
            .await;
        assert_eq!(record(&account), None);
        bed.create(&why.to_lowercase(), json!({"modelId": MODEL}))
            .await;
        bed.stalls(&why.to_lowercase(), "AccountHeld").await;
    };
    refused("Shared").await;
    bed.patch_account(json!({"sharing": "Exclusive"})).await;
    refused("second").await;
    bed.wait_lists(3).await;
    assert_eq!((calls(&bed), bed.starts()), (0, 0));
    assert_eq!(bed.state_of(&stray), Some(InstanceState::Running));

    // One of both carries the order out.
    let second = [
        "patch",
        "cortecsaccount/second",
        "--type=merge",
        "-p",
        r#"{"spec":{"mode":"StopAll"}}"#,
    ];
    bed.kubectl_text(&second).await;
    bed.wait_account("stopped", all_stopped).await;
    let second = (bed.namespace.clone(), "second".to_owned());
    let found = bed.accounts.wait(SOON, |record| {
        record
            .latest(&second)
            .filter(|account| all_stopped(account))
    });
    let second = found.await.expect("both accounts say so");
    assert_eq!((record(&second), calls(&bed), bed.starts()), (None, 1, 0));
    assert_eq!(bed.state_of(&stray), Some(InstanceState::Stopped));
}

#[tokio::test]
async fn a_call_that_fails_is_made_again() {
    let bed = Bed::new("stop-all-fails").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    let fails = Effect::fail(500, "not now");
    bed.api
        .add_fault(Fault::new(Endpoint::StopAll, fails).times(2));
    let refuses = Effect::fail(403, "not you");
    bed.api
        .add_fault(Fault::new(Endpoint::StopAll, refuses).times(1));
    set_mode(&bed, "StopAll").await;
    let says = |reason: &'static str, text: &'static str| {
        move |a: &CortecsAccount| a.reason(READY) == reason && a.message(READY).contains(text)
    };
    bed.wait_account("trying again", says("StoppingAll", "not now"))
        .await;
    bed.wait_account("refused", says("CallRefused", "not you"))
        .await;
    let account = bed.wait_account("stopped", all_stopped).await;
    assert_eq!((calls(&bed), record(&account).unwrap().stopped), (4, 1));
    assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped));
}

#[tokio::test]
async fn a_hold_from_before_stays_until_a_person_ends_it() {
    let bed = Bed::new("stop-all-held").await;
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    for id in &ids[..4] {
        bed.api.outsider_stop(id).unwrap();
    }
    is_held(&bed).await;
    set_mode(&bed, "StopAll").await;
    bed.wait_api("stop all", |v| v.count(Endpoint::StopAll) > 0)
        .await;
    bed.wait_account("recorded", |a| record(a).is_some_and(|r| r.stopped == 1))
        .await;
    set_mode(&bed, "Active").await;
    bed.wait_account("over", |a| record(a).is_none()).await;
    bed.wait_lists(3).await;
    is_held(&bed).await;
    assert_eq!((bed.changes(), up(&bed)), ([5, 0, 0, 0], vec![]));
    bed.annotate_account("cortecs.ai/resume", "now").await;
    assert_eq!(bed.all_run(&NAMES).await, ids);
}

#[tokio::test]
async fn an_instance_of_a_start_that_was_open_is_stopped_when_it_appears() {
    let bed = Bed::builder("stop-all-open").build().await;
    let late = Effect::delay(When::Before, 3 * bed.config.request_timeout);
    bed.api.add_fault(Fault::once(Endpoint::Start, late));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "of unknown outcome", |r| {
        r.reason(READY) == "ResolvingStart"
    })
    .await;
    set_mode(&bed, "StopAll").await;
    bed.wait_account("recorded", |a| record(a).is_some()).await;
    assert!(!all_stopped(
        &*bed.wait_account("stopping", |a| a.is_current()).await
    ));
    let account = bed.wait_account("stopped", all_stopped).await;
    let found = bed.existing();
    assert_eq!((found.len(), up(&bed)), (1, vec![]));
    assert_eq!(record(&account).unwrap().stopped, 1);
    set_mode(&bed, "Active").await;
    assert_eq!(bed.runs("phi").await, found[0]);
    assert_eq!(bed.starts(), 1);
}
