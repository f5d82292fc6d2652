//! Lists that lack instances which the API finds.

use super::{bound::bound, resolve::lost, *};
use crate::instance::record::{self, Times};

pub(super) fn get(id: &str) -> Step {
    Step::Call(ApiCall::Get {
        instance_id: id.into(),
    })
}

/// A start about to be given up, beside resources whose instances the list lacks as well.
pub(super) fn beside(others: &[&'static str]) -> Scene {
    let mut scene = lost(&[]);
    scene.others = others.iter().map(|id| owner_of(id)).collect();
    scene.remembered = others
        .iter()
        .map(|id| {
            let memory = Memory {
                bound: Some(Bound::new((*id).to_owned(), at(1))),
                ..Memory::default()
            };
            (*id, memory)
        })
        .collect();
    scene.lists([SETTLED + 1, SETTLED + 2], &[]);
    scene.quorum_read_at = Some(at(SETTLED + 2));
    scene
}

/// Another resource has the instance `i-other`, which lists lack. Gets have found it since `found`.
pub(super) fn lacks(scene: &mut Scene, found: Option<Moment>) {
    let mut bound = Bound::new("i-other".to_owned(), at(1));
    bound.unlisted_since = found;
    let memory = Memory {
        bound: Some(bound),
        ..Memory::default()
    };
    scene.others = vec![owner_of("i-other")];
    scene.remembered = vec![("i-other", memory)];
}

fn looked_up(scene: &mut Scene, id: &str, found: bool) {
    let attempt = scene.memory.as_mut().unwrap().start.as_mut().unwrap();
    let answer = match found {
        true => lookup::Answer::Found,
        false => lookup::Answer::NotFound,
    };
    let lookup = Lookup::next(None, at(SETTLED + 2), answer);
    attempt.lookups.insert(id.to_owned(), lookup);
}

#[test]
fn a_start_is_given_up_when_what_the_list_lacks_is_gone() {
    let mut scene = beside(&["i-other"]);
    assert_eq!(scene.decide().step, get("i-other"));
    looked_up(&mut scene, "i-other", false);
    assert_eq!(scene.decide().step, written(Purpose::VoidStart));
}

#[test]
fn a_start_is_not_given_up_while_the_api_finds_what_the_list_lacks() {
    let mut scene = beside(&["i-other"]);
    looked_up(&mut scene, "i-other", true);
    scene.now = at(SETTLED + 61);
    assert_eq!(scene.decide().step, written(Purpose::Report));
    // It is asked again, as the instance may be deleted meanwhile.
    scene.now = at(SETTLED + 62);
    assert_eq!(scene.decide().step, get("i-other"));
}

/// However many others are gone, an instance that its own resource has found contradicts the list.
#[test]
fn what_its_own_resource_has_found_contradicts_the_list() {
    let all = ["i-1", "i-2", "i-3", "i-found"];
    let mut scene = beside(&all);
    all[..3]
        .iter()
        .for_each(|id| looked_up(&mut scene, id, false));
    let found = scene.remembered[3].1.bound.as_mut().unwrap();
    found.unlisted_since = Some(at(SETTLED));
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert_eq!(reconciling(&decision), Some("ResolvingStart"));
}

/// A list that lacks what exists may lack instances that are not the start's.
#[test]
fn a_start_that_was_decided_on_an_incomplete_list_is_a_persons_question() {
    for (is_found, is_marked) in [(false, false), (true, true)] {
        let mut scene = Scene::new(json!({}), json!({}));
        lacks(&mut scene, is_found.then(|| at(900)));
        let decision = scene.decide();
        let start = decision.status.slot().start.clone().unwrap();
        assert_eq!(start.incomplete_list, is_marked);

        scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
        scene.others.clear();
        scene.observe();
        scene.lists([1001], &[instance("i-1", "pending")]);
        scene.quorum_read_at = Some(at(1001));
        scene.found(&["i-1"]);
        let decision = scene.decide();
        let is_asked = stalled(&decision) == Some("StartUnresolved");
        assert_eq!(is_asked, is_marked, "{:?}", decision.step);
    }
}

/// What would be taken over may be missing as well.
#[test]
fn nothing_is_adopted_or_started_instead_by_an_incomplete_list() {
    let mut scene = Scene::new(json!({ "adopt": { "matching": true } }), json!({}));
    scene.account(|account| account.adoption = Adoption::Unclaimed);
    lacks(&mut scene, Some(at(900)));
    assert_eq!(reconciling(&scene.decide()), Some("ListIncomplete"));
    scene.list(999, &[instance("i-other", "running")]);
    assert!(scene.decide().status.slot().start.is_some());
}

/// What was asked before the settle time was over says nothing about the instance that may have appeared since.
#[test]
fn a_get_from_before_the_settle_time_does_not_count() {
    let mut scene = beside(&["i-other"]);
    let attempt = scene.memory.as_mut().unwrap().start.as_mut().unwrap();
    let early = Lookup::next(None, at(SETTLED - 1), lookup::Answer::NotFound);
    attempt.lookups.insert("i-other".to_owned(), early);
    assert_eq!(scene.decide().step, get("i-other"));
}

/// What was bound a moment ago, or is being removed, is no contradiction.
#[test]
fn what_the_list_may_lack_is_not_asked_for() {
    let changes: [fn(&mut Bound); 3] = [
        |bound| bound.first_seen = at(SETTLED - 10),
        |bound| bound.removal_tried = true,
        |bound| bound.deleted = true,
    ];
    for change in changes {
        let mut scene = beside(&["i-other"]);
        change(scene.remembered[0].1.bound.as_mut().unwrap());
        assert_eq!(scene.decide().step, written(Purpose::VoidStart));
    }
}

/// However many instances are gone, a few gets tell.
#[test]
fn a_few_gets_are_enough() {
    let mut scene = beside(&["i-1", "i-2", "i-3", "i-4", "i-5"]);
    let mut gets = 0;
    while let Step::Call(ApiCall::Get { instance_id }) = scene.decide().step {
        gets += 1;
        looked_up(&mut scene, &instance_id, false);
    }
    assert_eq!(gets, 3);
    assert_eq!(scene.decide().step, written(Purpose::VoidStart));
}

/// The bound instance is shown as gets see it, and is asked for less and less often. After the settle time a person is told.
#[test]
fn what_gets_find_stays_shown_and_is_told_when_it_lasts() {
    let mut scene = bound(json!({}));
    scene.observe();
    scene.lists([1001], &[instance("i-1", "running")]);
    let (mut gets, mut told) = (0, 0);
    for second in (1200..3000).step_by(5) {
        scene.lists([second], &[]);
        let decision = scene.decide();
        if decision.step == get("i-1") {
            gets += 1;
            let times = Times {
                asked: scene.now,
                answered: scene.now,
            };
            let found = record::Answer::Done(instance("i-1", "running"));
            record::got(scene.memory.as_mut().unwrap(), "i-1", found, times);
            continue;
        }
        assert_ne!(decision.step, written(Purpose::Unbind));
        told += u32::from(stalled(&decision) == Some("ListIncomplete"));
        if gets > 0 {
            assert_eq!(reconciling(&decision), None, "{second}");
        }
    }
    assert!((5..16).contains(&gets), "{gets} gets");
    assert!(told > 200, "{told}");
    // A list that shows it again ends that.
    scene.lists([3001], &[instance("i-1", "running")]);
    let decision = scene.decide();
    assert_eq!((stalled(&decision), reconciling(&decision)), (None, None));
}
