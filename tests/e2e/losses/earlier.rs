//! Kubernetes is restored to an earlier state, as from a backup of etcd, while the instances keep running.

use std::time::Duration;

use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::harness::{Bed, MODEL, OTHER_MODEL, Process, bound, running, sorted};

#[tokio::test]
async fn after_kubernetes_was_restored_nothing_is_started_twice_or_healed_blindly() {
    let mut bed = Bed::builder("earlier").alone().elected().build().await;
    // The restart of the API server may take longer than a Lease lasts. Without one, only the restore can end the process.
    let alone = ["--leader-elect", "false"];
    let mut operator = Process::start_with(&bed, &alone, "the first");
    bed.create("kept", json!({"modelId": MODEL})).await;
    bed.create("gone", json!({"modelId": MODEL})).await;
    let kept = bed.runs("kept").await;
    let gone = bed.runs("gone").await;
    // The answer of this start is lost, and its outcome stays unknown since lists fail.
    let late = Effect::delay(When::After, Duration::from_millis(2500));
    bed.api.add_fault(Fault::once(Endpoint::Start, late));
    bed.create("open", json!({"modelId": MODEL})).await;
    bed.wait_api("get the start", |view| view.count(Endpoint::Start) == 3)
        .await;
    bed.api.set_down(true);
    bed.plane.save().await;
    let saved = bed.wait("open", "there", |_| true).await;
    let status = saved.status.clone().unwrap();
    assert!(status.slot().start.is_some() && status.instance_id.is_none());
    bed.api.set_down(false);
    let open = bed.runs("open").await;
    bed.delete("gone").await;
    bed.wait_gone("gone").await;
    let later = bed.run("later", json!({"modelId": OTHER_MODEL})).await;
    assert_eq!((bed.starts(), bed.existing().len()), (4, 3));

    bed.plane.rewind().await;
    let ended = operator.ended().await;
    assert!(!ended.success(), "{ended}");
    let log = operator.log();
    assert!(log.contains("restored to an earlier state"), "{log}");
    // The old process changed no instance before its end.
    assert_eq!((bed.starts(), bed.existing().len()), (4, 3));

    bed.watch_anew();
    let since = bed.last_request();
    let _successor = Process::start(&bed, "the second");
    assert_eq!(bed.runs("kept").await, kept);
    assert_eq!(bed.runs("open").await, open);
    let healed = bed
        .wait("gone", "running anew", |r| bound(r) != gone && running(r))
        .await;
    bed.wait_lists(2).await;
    let wanted = vec![kept, open, later.clone(), bound(&healed).to_owned()];
    assert_eq!((bed.starts(), sorted(bed.existing())), (5, sorted(wanted)));

    // The operator started another instance only after two lists and a get of the lost one.
    let requests: Vec<_> = bed
        .api
        .requests()
        .into_iter()
        .filter(|r| r.sequence > since)
        .collect();
    let at = |which: &dyn Fn(&cortecs_simulator::RequestRecord) -> bool| {
        requests.iter().find(|r| which(r)).map(|r| r.sequence)
    };
    let get = at(&|r| r.endpoint == Endpoint::GetInstance && r.path.contains(&gone));
    let start = at(&|r| r.endpoint == Endpoint::Start);
    assert!(get.is_some() && get < start, "{get:?} {start:?}");
    let lists = requests
        .iter()
        .filter(|r| r.endpoint == Endpoint::ListInstances && Some(r.sequence) < get);
    assert!(lists.count() >= 2);
    // The instance that was started after the backup is unmanaged: the account shows it, and the operator does not touch it.
    assert_eq!(bed.requests_about(&later, since), []);
    bed.wait_account("one unmanaged", |account| {
        let status = account.status.as_ref();
        status.is_some_and(|s| s.unmanaged.iter().any(|u| u.id == later))
    })
    .await;
}
