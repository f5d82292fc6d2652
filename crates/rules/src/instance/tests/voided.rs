//! What is remembered of a start that was given up.

use cortecs_resources::journal::{MAX_KNOWN_INSTANCES, MAX_VOIDED_STARTS, VoidedStart};

use super::*;

#[test]
fn a_void_start_remembers_what_a_late_outcome_is_told_by() {
    let status =
        json!({ "account": home(), "start": intent(5, "2026-01-02T00:00:00Z", &["i-known"]) });
    let voided = given_up(status, &[instance("i-known", "running")]);
    assert_eq!(voided[0].account.as_ref().unwrap().client_id, "client");
    assert_eq!(voided[0].known_instances, digests(5, &["i-known"]));
}

/// An instance with other arguments, or of another resource, is none that a late outcome could be taken for.
#[test]
fn only_unclaimed_equal_instances_are_remembered_with_a_start() {
    let known = ["i-equal", "i-unequal", "i-claimed"];
    let status = json!({ "account": home(), "start": intent(5, "2026-01-02T00:00:00Z", &known) });
    let mut scene = Scene::new(json!({}), status);
    scene.others = vec![owner_of("i-claimed")];
    scene.observe();
    let mut there = known.map(|id| instance(id, "running"));
    there[1].instance_args.num_workers = Some(7);
    scene.lists([SETTLED + 1, SETTLED + 2], &there);
    scene.quorum_read_at = Some(at(SETTLED + 2));
    let voided = scene.decide().status.journal.voided_starts;
    assert_eq!(voided[0].known_instances, digests(5, &["i-equal"]));
}

/// The starts that are remembered once the open start of this status is given up, beside these instances.
fn given_up(status: Value, there: &[Instance]) -> Vec<VoidedStart> {
    let mut scene = Scene::new(json!({}), status);
    scene.observe();
    scene.lists([SETTLED + 1, SETTLED + 2], there);
    scene.quorum_read_at = Some(at(SETTLED + 2));
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::VoidStart));
    decision.status.journal.voided_starts
}

/// A status with an open start that does not know these instances, and with a start that was given up at each of these times, each of
/// which knows so many instances.
fn after(voided: &[(&str, usize)]) -> Value {
    let voided = voided.iter().enumerate().map(|(n, (voided_at, known))| {
        json!({
            "id": Uuid::from_u128(n as u128), "requestedAt": "2026-01-01T00:00:00Z", "voidedAt": voided_at,
            "args": args(), "account": home(), "knownInstances": vec!["x"; *known],
        })
    });
    let voided: Vec<Value> = voided.collect();
    let crowd: Vec<String> = (0..MAX_KNOWN_INSTANCES).map(|n| format!("i-{n}")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let start = intent(5, "2026-01-02T00:00:00Z", &crowd);
    json!({ "account": home(), "start": start, "voidedStarts": voided })
}

/// The ids of the starts that are remembered, the new one last.
fn remembered(voided: &[(&str, usize)], there: usize) -> Vec<u128> {
    let there: Vec<Instance> = (0..there)
        .map(|n| instance(&format!("i-{n}"), "running"))
        .collect();
    let remembered = given_up(after(voided), &there);
    remembered.iter().map(|start| start.id.as_u128()).collect()
}

/// The decision is taken at the beginning of the third of January.
#[test]
fn a_start_that_was_given_up_is_remembered_for_a_day() {
    let old = [
        ("2026-01-01T23:00:00Z", 0),
        ("2026-01-02T00:00:00Z", 0),
        ("2026-01-02T00:00:01Z", 0),
    ];
    assert_eq!(remembered(&old, 0), [2, 5]);
}

#[test]
fn the_last_starts_that_were_given_up_are_remembered() {
    let recent = [("2026-01-02T12:00:00Z", 0); MAX_VOIDED_STARTS];
    assert_eq!(remembered(&recent[1..], 0), [0, 1, 5]);
    assert_eq!(remembered(&recent, 0), [1, 2, 5]);
}

/// All that are remembered know so many instances together, and the last one keeps its own in any case.
#[test]
fn few_instances_are_remembered_with_them() {
    let at = "2026-01-02T12:00:00Z";
    let half = MAX_KNOWN_INSTANCES / 2;
    assert_eq!(remembered(&[(at, half)], half), [0, 5]);
    assert_eq!(remembered(&[(at, half + 1)], half), [5]);
    assert_eq!(
        remembered(&[(at, half), (at, half)], MAX_KNOWN_INSTANCES),
        [5]
    );
}
