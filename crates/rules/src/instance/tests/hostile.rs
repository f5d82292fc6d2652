//! Whatever the API says: the status that follows is one that the API server takes and that can be shown, and nothing is
//! done to an instance on the strength of it. A status that is refused would never be written again: a wedge.

use cortecs_api::{answers, is_shown};
use cortecs_resources::{reason::Reason, schema::status_violations};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::facts::{
    args,
    failure::{Failure, FailureKind},
};

/// Words as no API should send them.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z/-]{1,20}",
        Just("ä".repeat(5000)),
        Just("/".repeat(200)),
        Just("\u{0}\u{1b}[31m\u{202e}\u{feff}x\r\n".to_owned()),
        Just("<script>alert(1)</script>".to_owned()),
    ]
}

fn state() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("pending".to_owned()),
        Just("running".to_owned()),
        Just("stopped".to_owned()),
        word()
    ]
}

/// An instance with this id as JSON: as odd as it can be while it still parses.
fn odd_instance(id: &'static str) -> impl Strategy<Value = Value> {
    let model = prop_oneof![Just("org--name".to_owned()), word()];
    let args = (
        model,
        option::of(word()),
        option::of(any::<u32>()),
        option::of(word()),
        option::of(any::<u32>()),
    );
    let url = option::of(prop_oneof![
        word(),
        word().prop_map(|w| format!("https://{w}")),
        Just(format!("https://{}", "x".repeat(3000))),
    ]);
    let progress = option::of((any::<u32>(), any::<u32>(), word()));
    let times = (option::of(word()), option::of(word()));
    (args, url, state(), times, vec(progress, 0..80)).prop_map(
        move |(args, url, state, times, workers)| {
            let workers: Vec<Value> = workers
                .into_iter()
                .map(|p| match p {
                    Some((step, steps, description)) => json!({ "init_progress": {
                        "current_step": step, "num_steps": steps, "description": description } }),
                    None => json!({ "init_progress": null }),
                })
                .collect();
            json!({
                "instance_id": id, "base_url": url,
                "instance_args": { "model_id": args.0, "hardware_type_id": args.1,
                    "context_length": args.2, "billing_interval": args.3, "num_workers": args.4 },
                "instance_status": { "status": state, "started_at": times.0, "stopped_at": times.1 },
                "worker_statuses": workers,
            })
        },
    )
}

/// An answer of the catalog, good or bad.
fn odd_model() -> impl Strategy<Value = CatalogAnswer> {
    let maximum = prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        word().prop_map(Value::from)
    ];
    let good = (option::of(word()), word(), option::of(word()), maximum).prop_filter_map(
        "no model",
        |(name, id, recommended, maximum)| {
            let hardware = recommended.clone().unwrap_or_default();
            let body = json!({ "model": {
                "model_name": name, "model_id": id, "recommended_config": recommended,
                "hardware_configs": { hardware: { "params": { "--max-model-len": maximum } } },
            } });
            let model = answers::model(body.to_string().as_bytes()).ok()?;
            Some(Ok(Arc::new(model)))
        },
    );
    let bad = any::<bool>().prop_map(|terminal| {
        Err(CatalogProblem {
            terminal,
            message: "x".repeat(256),
            nearest: vec!["x".repeat(256); 3],
        })
    });
    prop_oneof![3 => good, 1 => bad]
}

fn parsed(instances: &[Value]) -> Vec<Instance> {
    answers::instances(json!({ "instances": instances }).to_string().as_bytes()).unwrap()
}

/// The status can be written and shown.
fn check(decision: &Decision) -> Result<(), TestCaseError> {
    let mut status = decision.status.clone();
    if let Step::Write(Write::RecordAccepted { instance, .. }) = &decision.step {
        status.instance_id = Some(instance.instance_id.clone());
        let before = status.instance_args.take();
        status.instance_args = Some(args::in_force(&instance.instance_args, before.as_ref()));
    }
    let wrong = status_violations("CortecsInstance", &status);
    prop_assert!(wrong.is_empty(), "{wrong:?}");
    let text = serde_json::to_value(&status).unwrap();
    prop_assert!(all_shown(&text), "{text}");
    prop_assert!(text.to_string().len() < 500_000);
    Ok(())
}

fn all_shown(value: &Value) -> bool {
    match value {
        Value::String(text) => text.chars().all(|c| is_shown(&c)),
        Value::Array(items) => items.iter().all(all_shown),
        Value::Object(entries) => entries.values().all(all_shown),
        _ => true,
    }
}

fn bound_status(args: Value) -> Value {
    json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args,
        "instanceStatus": { "status": "running" }, "observedGeneration": 1, "reachedGeneration": 1,
    })
}

/// Whatever else would be due.
#[test]
fn nothing_is_decided_about_a_resource_that_cannot_be_decoded() {
    let running = bound_status(super::args());
    let scenes = [
        Scene::new(json!({}), json!({})),
        Scene::new(json!({ "state": "Stopped" }), running.clone()),
        Scene::new(json!({}), running.clone()).deleting(),
        Scene::new(json!({ "deletionPolicy": "Orphan" }), running).deleting(),
    ];
    for mut scene in scenes {
        scene.list(999, &[instance("i-1", "running")]);
        scene.observe();
        assert_ne!(scene.decide().step, Step::Rest);
        scene.memory.as_mut().unwrap().unreadable = true;
        assert_eq!(scene.decide().step, Step::Rest);
    }
    // What the API has answered is recorded.
    let status = json!({ "account": home(), "start": intent(1, "2026-01-02T00:00:00Z", &[]) });
    let mut scene = Scene::new(json!({}), status);
    scene.remember_start(Outcome::Accepted(std::sync::Arc::new(instance(
        "i-1", "pending",
    ))));
    scene.memory.as_mut().unwrap().unreadable = true;
    let step = scene.decide().step;
    assert!(
        matches!(step, Step::Write(Write::RecordAccepted { .. })),
        "{step:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn an_odd_bound_instance_is_shown_within_the_schema(odd in odd_instance("i-1"), deleting in any::<bool>()) {
        let mut scene = Scene::new(json!({}), bound_status(super::args()));
        if deleting {
            scene = scene.deleting();
        }
        scene.list(999, &parsed(&[odd]));
        let decision = scene.decide();
        check(&decision)?;
        // It is there, whatever it says of itself.
        let keeps = decision.status.instance_id.as_deref() == Some("i-1")
            && !matches!(decision.step, Step::Call(ApiCall::Start { .. }) | Step::Write(Write::RemoveFinalizer) | Step::Write(Write::Status(Purpose::Unbind)));
        prop_assert!(keeps, "{decision:?}");
    }

    #[test]
    fn an_unknown_state_moves_nothing(odd in word()) {
        let mut odd_one = serde_json::to_value(instance("i-1", "running")).unwrap();
        odd_one["instance_status"]["status"] = json!(odd);
        prop_assume!(!["pending", "running", "stopped"].contains(&odd.as_str()));
        for spec in [json!({}), json!({ "driftPolicy": "Accept" })] {
            let mut scene = Scene::new(spec, bound_status(super::args()));
            scene.list(999, &parsed(&[odd_one.clone()]));
            let decision = scene.decide();
            check(&decision)?;
            prop_assert!(matches!(decision.step, Step::Rest | Step::Write(Write::Status(Purpose::Report))), "{decision:?}");
            let reason = reconciling(&decision).or(stalled(&decision));
            prop_assert_eq!(reason, Some("UnknownState"));
            prop_assert!(!cortecs_resources::conditions::is_true(&decision.status.conditions, "Ready"));
        }
    }

    #[test]
    fn odd_instances_are_adopted_or_resolved_within_the_schema(
        one in odd_instance("i-1"), two in odd_instance("i-2"), shared in any::<bool>(), accepted in any::<bool>(),
    ) {
        let list = parsed(&[one, two]);
        let mut adopting = Scene::new(json!({ "adopt": { "matching": true } }), json!({}));
        adopting.account(|a| a.adoption = Adoption::Unclaimed);
        adopting.list(999, &list);
        adopting.quorum_read_at = Some(at(1000));
        check(&adopting.decide())?;

        let status = json!({ "account": home(), "start": intent(1, "2026-01-02T00:00:00Z", &[]) });
        let mut open = Scene::new(json!({}), status);
        if shared {
            open.fleet(|f| f.sharing = Sharing::Shared);
        }
        open.observe();
        open.remember_start(if accepted {
            Outcome::Accepted(Arc::new(list[0].clone()))
        } else {
            Outcome::Unknown(at(998))
        });
        open.lists([1000, 1200], &list);
        open.found(&["i-1", "i-2"]);
        open.quorum_read_at = Some(open.now);
        check(&open.decide())?;
    }

    #[test]
    fn an_odd_catalog_is_pinned_within_the_schema_or_refused(
        model in odd_model(), hardware in option::of(word()), context in any::<Option<i32>>(), workers in any::<i32>(),
    ) {
        for spec in [
            json!({}),
            json!({ "hardwareTypeId": hardware, "contextLength": context, "numWorkers": workers }),
        ] {
            let mut scene = Scene::new(spec, json!({}));
            scene.model = Some(model.clone());
            let decision = scene.decide();
            let wrong = status_violations("CortecsInstance", &decision.status);
            prop_assert!(wrong.is_empty(), "{wrong:?}");
        }
    }

    #[test]
    fn what_the_api_says_of_a_failure_is_shown_within_the_schema(said in word()) {
        let body = json!({ "message": said }).to_string();
        let message = answers::message(body.as_bytes(), &[]).unwrap_or_default();
        prop_assert!(message.chars().count() <= 256);
        let mut scene = Scene::new(json!({}), json!({}));
        scene.observe();
        if let Some(memory) = &mut scene.memory {
            memory.failure = Some(Failure {
                kind: FailureKind::Terminal,
                reason: Reason::InvalidArguments,
                message,
                generation: 1,
                failed_at: at(999),
                retry_at: at(5000),
                count: 1,
            });
        }
        check(&scene.decide())?;
    }

    #[test]
    fn ids_that_are_listed_can_be_recorded(ids in proptest::collection::btree_set(word(), 1..40)) {
        let instances: Vec<Value> = ids.iter().map(|id| {
            let mut instance = serde_json::to_value(instance("", "running")).unwrap();
            instance["instance_id"] = json!(id);
            instance
        }).collect();
        let body = json!({ "instances": instances }).to_string();
        let Ok(list) = answers::instances(body.as_bytes()) else {
            return Ok(());
        };
        let mut scene = Scene::new(json!({}), json!({}));
        scene.list(999, &list);
        let decision = scene.decide();
        prop_assert!(decision.status.slot().start.is_some());
        check(&decision)?;
        let mut open = Scene::new(json!({}), json!({ "account": home(), "start": intent(1, "2026-01-02T00:00:00Z", &[]) }))
            .annotated("cortecs.ai/resolve-start", &list[0].instance_id);
        open.list(999, &list);
        check(&open.decide())?;
    }
}
