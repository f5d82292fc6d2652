//! The life of a resource: start, stop, restart, scale.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::{
    INSTANCE_FINALIZER,
    conditions::{AVAILABLE, READY, RECONCILING, STALLED, WORKERS_READY, is_true},
    identity::InstanceArgs,
    instance_status::{Phase, Workers},
};
use cortecs_simulator::Endpoint;
use kube::ResourceExt;
use serde_json::json;

use crate::{
    control_plane::assert_succeeded,
    harness::{Bed, CONTEXT, HARDWARE, MODEL, MODEL_ID, Read, bound, phase_is, running, stopped},
    spending::is_priced,
};

#[tokio::test]
async fn a_resource_with_only_a_model_becomes_running_and_shows_the_whole_instance() {
    let bed = Bed::builder("only-model")
        .step(Duration::from_millis(700))
        .build()
        .await;
    let _operator = bed.operator();
    let manifest = json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {"name": "phi"}, "spec": {"modelId": MODEL},
    });
    assert_succeeded("apply", &bed.kubectl_apply(&manifest).await);
    bed.kubectl_text(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=90s",
        "cortecsinstance/phi",
    ])
    .await;

    let resource = bed.wait("phi", "running", running).await;
    assert_eq!(resource.finalizers(), [INSTANCE_FINALIZER]);
    let status = resource.status.as_ref().unwrap();
    let instance = &bed.api.instances("tester")[0];
    assert_eq!(bound(&resource), instance.instance_id);
    assert!(status.base_url.is_some() && status.base_url == instance.base_url);
    assert_eq!(
        status.instance_args,
        Some(InstanceArgs {
            model_id: MODEL_ID.into(),
            hardware_type_id: Some(HARDWARE.into()),
            context_length: Some(CONTEXT),
            billing_interval: Some("per_minute".into()),
            num_workers: Some(1),
        })
    );
    let state = status.instance_status.as_ref().unwrap();
    assert_eq!(state.status, "running");
    assert!(state.started_at.is_some() && state.started_at == instance.instance_status.started_at);
    assert_eq!(state.stopped_at, None);
    let worker = status.worker_statuses[0].init_progress.as_ref().unwrap();
    assert_eq!((worker.current_step, worker.num_steps), (5, 5));
    assert_eq!(Some(worker.description.as_str()), {
        let progress = instance.worker_statuses[0].init_progress.as_ref();
        progress.map(|p| p.description.as_str())
    });
    assert_eq!(
        status.workers,
        Some(Workers {
            desired: 1,
            running: 1
        })
    );
    assert_eq!(status.progress.as_deref(), Some("5/5"));
    assert_eq!(
        status.account.as_ref().map(|a| a.name.as_str()),
        Some("main")
    );
    assert_eq!(status.slot().start, None);
    for kind in [READY, AVAILABLE, WORKERS_READY] {
        assert!(is_true(&status.conditions, kind), "{kind}");
    }
    for kind in [RECONCILING, STALLED] {
        assert!(resource.condition(kind).is_none(), "{kind}");
    }
    assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
    // The operator wrote nothing into the spec.
    assert_eq!(
        (
            &resource.spec.hardware_type_id,
            resource.metadata.generation
        ),
        (&None, Some(1))
    );
}

#[tokio::test]
async fn a_start_is_shown_in_phases_and_steps() {
    let bed = Bed::builder("the-way")
        .step(Duration::from_millis(1200))
        .build()
        .await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;

    let versions = bed.versions("phi");
    let mut phases: Vec<Phase> = Vec::new();
    let mut steps: Vec<&str> = Vec::new();
    for status in versions.iter().filter_map(|v| v.status.as_ref()) {
        phases.extend(status.phase.filter(|phase| phases.last() != Some(phase)));
        steps.extend(
            status
                .progress
                .as_deref()
                .filter(|step| steps.last() != Some(step)),
        );
    }
    let (last, before) = phases.split_last().unwrap();
    assert_eq!(*last, Phase::Running);
    assert!(
        before == [Phase::Pending, Phase::Starting] || before == [Phase::Starting],
        "{phases:?}"
    );
    assert!(
        steps.is_sorted() && steps.len() >= 3 && steps.last() == Some(&"5/5"),
        "{steps:?}"
    );
    // There is an Event for each change of the state.
    let events = bed
        .kubectl_text(&["events", "--for", "cortecsinstance/phi"])
        .await;
    for reason in ["Starting", "Bound", "Running"] {
        assert!(events.contains(reason), "no event {reason} in\n{events}");
    }
}

#[tokio::test]
async fn an_instance_is_usable_with_its_first_worker_and_complete_with_its_last() {
    let bed = Bed::builder("workers")
        .step(Duration::from_millis(1200))
        .build()
        .await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL, "numWorkers": 8}))
        .await;
    let some = bed.wait("phi", "running", running).await;
    let all = bed
        .wait("phi", "complete", |r| {
            running(r) && is_true(r.conditions(), WORKERS_READY)
        })
        .await;
    assert!(is_true(some.conditions(), AVAILABLE));
    assert!(
        !is_true(some.conditions(), WORKERS_READY),
        "the last worker takes two seconds longer"
    );
    assert_eq!(
        all.status.as_ref().unwrap().workers,
        Some(Workers {
            desired: 8,
            running: 8
        })
    );
}

#[tokio::test]
async fn kubectl_get_shows_the_columns() {
    let bed = Bed::new("columns").await;
    let _operator = bed.operator();
    let spec = json!({"modelId": MODEL, "expireTime": "2100-01-01T00:00:00Z"});
    bed.create("phi", spec).await;
    let resource = bed
        .wait("phi", "priced", |r| running(r) && is_priced(r))
        .await;
    let table = bed.kubectl_text(&["get", "cti"]).await;
    let (head, row) = table.split_once('\n').unwrap();
    let head: Vec<&str> = head.split_whitespace().collect();
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(
        head,
        [
            "NAME", "MODEL", "HARDWARE", "PHASE", "PROGRESS", "WORKERS", "URL", "AGE"
        ]
    );
    let url = resource
        .status
        .as_ref()
        .unwrap()
        .base_url
        .as_deref()
        .unwrap();
    assert_eq!(
        row[..7],
        ["phi", MODEL, HARDWARE, "Running", "5/5", "1", url]
    );
    let wide = bed
        .kubectl_text(&["get", "cortecsinstances", "-o", "wide"])
        .await;
    let (head, row) = wide.split_once('\n').unwrap();
    let price = resource.status.as_ref().unwrap().cost.as_ref().unwrap();
    let price = price.price_per_hour.as_deref().unwrap();
    let head = format!("{head} ");
    for (column, value) in [
        ("INSTANCE", bound(&resource)),
        ("REASON", "Running"),
        ("COST/H", price),
        ("NEXT", "Stop"),
        ("AT", "2100-01-01T00:00:00Z"),
    ] {
        let at = head.find(&format!(" {column} ")).expect(column) + 1;
        let shown = row
            .get(at..)
            .and_then(|rest| rest.split_whitespace().next());
        assert_eq!(shown, Some(value), "{column}: {wide}");
    }
    let accounts = bed.kubectl_text(&["get", "cta"]).await;
    assert!(accounts.contains("Verified"), "{accounts}");
    // kubectl finds both kinds by their category.
    let category = bed.kubectl_text(&["get", "cortecs"]).await;
    assert!(
        category.contains("cortecsinstance.cortecs.ai/phi")
            && category.contains("cortecsaccount.cortecs.ai/main")
    );
}

#[tokio::test]
async fn a_stopped_instance_is_kept_unbilled_and_runs_again_as_the_same() {
    let bed = Bed::new("stop-run").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;

    bed.change("phi", json!({"state": "Stopped"})).await;
    let resource = bed.wait("phi", "stopped", stopped).await;
    assert_eq!(bound(&resource), id);
    assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped));
    assert!(!bed.ever()[0].is_billed());
    let status = resource.status.as_ref().unwrap();
    assert_eq!(status.base_url, None);
    assert!(
        status
            .instance_status
            .as_ref()
            .unwrap()
            .stopped_at
            .is_some()
    );
    assert!(!is_true(&status.conditions, AVAILABLE));
    assert_eq!(
        status.workers,
        Some(Workers {
            desired: 1,
            running: 0
        })
    );

    bed.change("phi", json!({"state": "Running"})).await;
    let resource = bed.wait("phi", "running again", running).await;
    assert_eq!(bound(&resource), id);
    assert_eq!(bed.changes(), [1, 1, 1, 0]);
    assert_eq!((bed.ever().len(), bed.ever()[0].billed_starts), (1, 2));
    assert_eq!(resource.status.as_ref().unwrap().slot().restart, None);
}

#[tokio::test]
async fn a_resource_created_as_stopped_starts_nothing() {
    let bed = Bed::new("born-stopped").await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL, "state": "Stopped"}))
        .await;
    bed.wait("phi", "stopped", stopped).await;
    assert_eq!(bed.starts(), 0);
    bed.change("phi", json!({"state": "Running"})).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn a_restart_that_is_asked_for_happens_once_to_the_same_instance() {
    let bed = Bed::new("restart").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    for (round, value) in ["2026-01-01T00:00:00Z", "again"].into_iter().enumerate() {
        let times = u64::try_from(round).unwrap() + 1;
        bed.annotate("phi", "cortecs.ai/restartedAt", value).await;
        let resource = bed
            .wait("phi", "restarted", |r| {
                running(r)
                    && r.status
                        .as_ref()
                        .unwrap()
                        .last_handled_restart_at
                        .as_deref()
                        == Some(value)
            })
            .await;
        assert_eq!(bound(&resource), id);
        bed.wait_lists(3).await;
        let calls = [Endpoint::Start, Endpoint::Stop, Endpoint::Restart];
        assert_eq!(calls.map(|call| bed.api.count(call)), [1, times, times]);
    }
    assert_eq!(bed.existing(), [id]);
}

#[tokio::test]
async fn a_restart_annotation_from_the_creation_is_satisfied_by_the_start() {
    let bed = Bed::new("born-restarted").await;
    let _operator = bed.operator();
    let manifest = json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {"name": "phi", "annotations": {"cortecs.ai/restartedAt": "long ago"}},
        "spec": {"modelId": MODEL},
    });
    assert_succeeded("apply", &bed.kubectl_apply(&manifest).await);
    bed.runs("phi").await;
    bed.wait_lists(3).await;
    let calls = [Endpoint::Start, Endpoint::Stop, Endpoint::Restart];
    assert_eq!(calls.map(|call| bed.api.count(call)), [1, 0, 0]);
}

#[tokio::test]
async fn the_annotation_requested_at_causes_a_list_at_once() {
    let bed = Bed::builder("request")
        .account(json!({"poll": {"idleSeconds": 3600}}))
        .build()
        .await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    // The next regular list comes in an hour, so only the annotation lets the operator see the stop.
    bed.api.outsider_stop(&id).unwrap();
    bed.annotate("phi", "cortecs.ai/requestedAt", "now").await;
    let resource = bed
        .wait("phi", "looked at", |r| {
            r.status
                .as_ref()
                .unwrap()
                .last_handled_request_at
                .as_deref()
                == Some("now")
        })
        .await;
    assert_eq!(bound(&resource), id);
    bed.wait_api("restart it", |view| view.count(Endpoint::Restart) == 1)
        .await;
    bed.runs("phi").await;
}

#[tokio::test]
async fn scaling_with_kubectl_changes_the_number_of_workers() {
    let bed = Bed::new("scale").await;
    let _operator = bed.operator();
    let first = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.kubectl_text(&["scale", "cortecsinstance/phi", "--replicas=3"])
        .await;
    let resource = bed
        .wait("phi", "running with three", |r| {
            running(r)
                && r.status.as_ref().unwrap().workers
                    == Some(Workers {
                        desired: 3,
                        running: 3,
                    })
        })
        .await;
    assert_ne!(bound(&resource), first);
    let replicas = ["get", "--subresource=scale", "cortecsinstance/phi"];
    let spec = bed
        .kubectl_text(
            &[
                &replicas[..],
                &["-o", "jsonpath={.spec.replicas}/{.status.replicas}"],
            ]
            .concat(),
        )
        .await;
    assert_eq!(spec, "3/3");
    assert!(phase_is(Phase::Running)(&resource));
}
