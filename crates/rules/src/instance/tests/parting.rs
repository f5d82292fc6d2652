//! What the status says while a deletion lasts.

use cortecs_resources::{
    conditions::{AVAILABLE, READY},
    instance_status::Phase,
};

use super::{
    delete::{bound, stop},
    *,
};
use crate::instance::{record, record_write};

/// A resource that runs, can be used and is being deleted, which its status does not say yet.
fn used(policy: &str) -> Scene {
    let mut scene = bound(policy);
    scene.resource["status"]["phase"] = json!("Running");
    scene.resource["status"]["baseUrl"] = json!("https://i-1.example/v1");
    let mut running = instance("i-1", "running");
    running.base_url = Some("https://i-1.example/v1".to_owned());
    scene.lists([1002], &[running]);
    scene
}

#[test]
fn before_the_first_call_the_status_offers_nothing_any_more() {
    for policy in ["Delete", "Stop"] {
        let mut scene = used(policy);
        let first = scene.decide();
        assert_eq!(first.step, written(Purpose::Report), "{policy}");
        assert_eq!(first.look_again, Some(Duration::ZERO), "the call follows");
        let status = &first.status;
        assert_eq!(
            (status.phase, &status.base_url),
            (Some(Phase::Deleting), &None)
        );
        let available = find_condition(&status.conditions, AVAILABLE).unwrap();
        assert_eq!(
            (available.status.as_str(), available.reason.as_str()),
            ("False", "Deleting")
        );
        assert_eq!(reconciling(&first), Some("Deleting"));
        assert_eq!(scene.shown().decide().step, stop(), "{policy}");
    }
}

#[test]
fn a_status_that_cannot_be_written_or_loses_it_again_holds_no_stop_up() {
    let mut scene = used("Delete");
    scene.observe();
    scene.memory.as_mut().unwrap().write_failures = 1;
    assert_eq!(scene.decide().step, stop());

    let mut scene = used("Delete");
    scene.observe();
    let first = scene.decide();
    assert_eq!(first.step, written(Purpose::Report));
    let (key, now) = (ObjectKey::of(&scene.parsed()), scene.now);
    let mut book = crate::ledger::book::Book::default();
    book.apply(std::sync::Arc::new(scene.parsed()));
    record::announce(&mut book, &key, &first, now);
    let entry = book.iter().next().unwrap().1;
    let told = entry.memory.parting.clone();
    assert!(told.is_some(), "{first:?}");
    // A webhook has taken the phase off.
    scene.memory.as_mut().unwrap().parting = told;
    assert_eq!(scene.decide().step, stop());
}

#[test]
fn what_stays_of_the_resource_names_the_finalizers_of_others() {
    let mut scene = bound("Delete");
    let ours = scene.resource["metadata"]["finalizers"][0].clone();
    scene.resource["metadata"]["finalizers"] = json!(["of.others/x", ours, "of.others/y"]);
    scene.bound().stop_answered = true;
    scene.bound().deleted = true;
    let says = |decision: &Decision, finalizers: &str| {
        let ready = find_condition(&decision.status.conditions, READY).unwrap();
        assert!(ready.message.ends_with(finalizers), "{}", ready.message);
    };
    let first = scene.decide();
    assert_eq!(first.step, written(Purpose::Report));
    says(
        &first,
        "others have removed their finalizers of.others/x, of.others/y",
    );
    let mut scene = scene.shown();
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    // The status stays true while they are removed one by one.
    scene.resource["metadata"]["finalizers"] = json!(["of.others/y"]);
    let later = scene.decide();
    assert_eq!(later.step, written(Purpose::Report));
    says(&later, "others have removed their finalizer of.others/y");
    assert_eq!(scene.shown().decide().step, Step::Rest);
}

#[test]
fn a_removal_of_the_finalizer_that_is_refused_is_shown_and_tried_again() {
    let mut scene = bound("Delete");
    scene.bound().stop_answered = true;
    scene.bound().deleted = true;
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    let refusal = record_write::NotTaken {
        is_refused: true,
        message: "cannot change the finalizers: policy.example denied it".to_owned(),
        generation: 1,
    };
    let now = scene.now;
    record_write::not_taken(scene.memory.as_mut().unwrap(), refusal, now, 1.0);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert_eq!(stalled(&decision), Some("WriteRefused"));
    assert_eq!(decision.status.phase, Some(Phase::Deleting));
    scene.now = now.after(decision.look_again.unwrap());
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    // So it is with finalizers of others: what is shown does not change for the next try.
    let finalizers = &mut scene.resource["metadata"]["finalizers"];
    finalizers
        .as_array_mut()
        .unwrap()
        .push(json!("of.others/x"));
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}
