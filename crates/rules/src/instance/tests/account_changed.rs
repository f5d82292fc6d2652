//! The account in which an instance lives cannot be used, or is not the one that the resource names any more.

use cortecs_resources::{reason::Reason, transition::TransitionReason};

use super::{
    limit::{next, stop, then},
    *,
};

#[test]
fn with_another_account_what_is_to_be_stopped_is_stopped_where_it_lives_and_nothing_else_is_done() {
    for change in [
        (|s| s.account(|a| a.identity.client_id = "other".into())) as fn(&mut Scene),
        |s| s.account(|a| a.identity.api_url = "https://other.example".into()),
        |s| s.view.named = Some(ObjectKey::new("ns", "other")),
        |s| s.view.named = None,
    ] {
        for (spec, state, stops) in [
            (json!({}), "running", false),
            (json!({}), "stopped", false),
            (json!({ "numWorkers": 2 }), "running", false),
            (json!({ "state": "Stopped" }), "running", true),
            (
                json!({ "state": "Stopped", "suspend": true }),
                "running",
                false,
            ),
        ] {
            let mut scene = bound::seen(spec, state);
            change(&mut scene);
            let decision = scene.decide();
            match stops {
                true => assert!(matches!(decision.step, Step::Call(ApiCall::Stop { .. }))),
                false => {
                    assert_eq!(stalled(&decision), Some("AccountChanged"));
                    assert_eq!(decision.step, written(Purpose::Report));
                }
            }
            scene.view.fleet = None;
            assert_eq!(stalled(&scene.decide()), Some("AccountChanged"));
        }
    }
}

/// The limit of an account ends a run also while the account cannot be used, or while the resource names another one.
#[test]
fn the_limit_of_the_account_in_which_it_runs_holds_whatever_becomes_of_the_account() {
    let unusable = |scene: &mut Scene| {
        scene.view.desired = Desired::Unusable {
            reason: Reason::SecretNotFound,
            message: "Secret ns/cortecs is not there".into(),
        };
    };
    let changed = |scene: &mut Scene| {
        scene.view.named = Some(ObjectKey::new("ns", "other"));
        scene.account(|account| account.identity.name = "other".into());
        scene.view.limits = None;
    };
    for change in [unusable as fn(&mut Scene), changed] {
        let mut scene = limit::seen(json!({}), "running");
        change(&mut scene);
        assert!(!matches!(scene.decide().step, Step::Call(_)));
        scene.view.limits = Some(Limits {
            max_runtime_seconds: Some(60),
            ..Limits::default()
        });
        let decision = scene.decide();
        let (at, reason) = next(&decision).unwrap();
        assert_eq!(at, "2026-01-02T00:01:00Z");
        assert_eq!(reason, TransitionReason::MaxRuntimeReached);
        assert_eq!(then(&mut scene, decision).step, stop());
    }
}
