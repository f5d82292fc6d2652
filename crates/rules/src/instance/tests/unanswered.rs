//! Gets that fail, for whatever reason, and say nothing about the instance.

use cortecs_resources::reason::Reason;

use super::{
    resolve::{is_bind, lost},
    unlisted::{beside, get},
    *,
};
use crate::{
    facts::failure::{Failure, FailureKind},
    instance::record::{self, Times},
};

/// A get of the instance fails now; the next call has to wait for so long.
fn fails(scene: &mut Scene, id: &str, pause: u64) {
    let failure = Failure {
        kind: FailureKind::Transient,
        reason: Reason::RetryingAfterError,
        message: "get instance failed: HTTP 500".into(),
        generation: 1,
        failed_at: scene.now,
        retry_at: scene.now.after(Duration::from_secs(pause)),
        count: 1,
    };
    let times = Times {
        asked: scene.now,
        answered: scene.now,
    };
    let answer = record::Answer::Failed(failure);
    record::got(scene.memory.as_mut().unwrap(), id, answer, times);
}

/// Gets are made less and less often; then a person is asked, and goes on to be asked while the next get waits.
#[test]
fn a_candidate_whose_gets_fail_is_a_persons_question_that_stays() {
    let mut scene = lost(&[]);
    let one = [instance("i-1", "pending")];
    let (mut gets, mut asked) = (0, 0);
    for second in 1001..2 * SETTLED {
        scene.lists([second], &one);
        scene.quorum_read_at = Some(at(second));
        let decision = scene.decide();
        match decision.step {
            Step::Call(ApiCall::Get { .. }) => {
                gets += 1;
                fails(&mut scene, "i-1", 200);
                continue;
            }
            Step::Write(_) => {
                scene.resource["status"] = serde_json::to_value(&decision.status).unwrap()
            }
            _ => {}
        }
        if asked > 0 {
            assert_eq!(stalled(&decision), Some("StartUnresolved"), "{second}");
        }
        asked += u32::from(stalled(&decision) == Some("StartUnresolved"));
    }
    assert!((3..12).contains(&gets), "{gets} gets");
    assert!(asked > 500, "{asked}");
    let start = scene.parsed().status.unwrap().slot().start.clone();
    assert_eq!(start.unwrap().candidate_ids, ["i-1"]);
    let mut said = scene.annotated("cortecs.ai/resolve-start", "i-1");
    assert!(is_bind(&said.decide().step, "i-1"));
    said.resource["metadata"]["annotations"] = json!({ "cortecs.ai/resolve-start": "none" });
    assert_eq!(said.decide().step, written(Purpose::Dismiss));
}

/// The list is not proven to be complete, and a person is asked in the end.
#[test]
fn a_start_is_not_given_up_by_gets_of_another_instance_that_fail() {
    let mut scene = beside(&["i-other"]);
    let mut asked = 0;
    for second in SETTLED + 3..2 * SETTLED {
        scene.lists([second], &[]);
        scene.quorum_read_at = Some(at(second));
        let decision = scene.decide();
        if decision.step == get("i-other") {
            fails(&mut scene, "i-other", 100);
            continue;
        }
        assert_ne!(decision.step, written(Purpose::VoidStart));
        scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
        if asked > 0 {
            assert_eq!(stalled(&decision), Some("StartUnresolved"), "{second}");
        }
        asked += u32::from(stalled(&decision) == Some("StartUnresolved"));
    }
    assert!(asked > 500, "{asked}");
    let mut scene = scene.annotated("cortecs.ai/resolve-start", "none");
    assert_eq!(scene.decide().step, written(Purpose::VoidStart));
}
