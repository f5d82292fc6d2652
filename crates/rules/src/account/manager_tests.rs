use super::*;

fn other(managed_by: Option<&str>, assigned: Option<&str>) -> Option<Other> {
    other_manager("ours", managed_by, assigned)
}

fn theirs(is_assigned: bool) -> Option<Other> {
    let namespace = "theirs".to_owned();
    Some(Other {
        namespace,
        is_assigned,
    })
}

#[test]
fn what_no_other_operator_manages_is_ours() {
    assert_eq!(other(None, None), None);
    assert_eq!(other(Some("ours"), None), None);
}

#[test]
fn what_another_operator_manages_is_its_own() {
    assert_eq!(other(Some("theirs"), None), theirs(false));
}

#[test]
fn a_person_has_the_last_word() {
    assert_eq!(other(Some("theirs"), Some("ours")), None);
    assert_eq!(other(Some("ours"), Some("ours")), None);
    assert_eq!(other(None, Some("ours")), None);
    for managed_by in [None, Some("ours"), Some("theirs"), Some("a third")] {
        assert_eq!(other(managed_by, Some("theirs")), theirs(true));
    }
}

#[test]
fn only_what_nobody_has_assigned_is_a_contest_and_the_message_says_how_to_end_it() {
    let claimed = theirs(false).expect("another one");
    assert!(claimed.is_contest());
    let said = claimed.explain("ours");
    for part in [
        "in namespace theirs",
        "status.managedBy",
        "annotate the account with cortecs.ai/operator=ours",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let assigned = theirs(true).expect("another one");
    assert!(!assigned.is_contest());
    assert!(assigned.explain("ours").contains("cortecs.ai/operator"));
}

#[test]
fn only_for_an_operator_with_a_lease_another_process_may_act() {
    let named = |namespace: &str, lease: Option<&str>| ManagedBy {
        namespace: namespace.to_owned(),
        lease: lease.map(str::to_owned),
    };
    let ours = named("a", Some("cortecs-operator"));
    let other = named("b", Some("cortecs-operator"));
    assert_eq!(standing("a", Some(&ours), None), Standing::Ours);
    assert_eq!(standing("a", Some(&ours), Some("a")), Standing::Ours);
    let alone = named("a", None);
    assert_eq!(standing("a", Some(&alone), None), Standing::NotElected);
    // Made anew while no operator ran: the operator here would take it, unless a person has named another one.
    assert_eq!(standing("a", None, None), Standing::Ours);
    assert_eq!(standing("a", None, Some("a")), Standing::Ours);
    // A person gave it to us, and the operator here has not taken it yet.
    let moving = Standing::Moving("b".to_owned());
    assert_eq!(standing("a", Some(&other), Some("a")), moving);
    for (managed_by, assigned) in [
        (Some(&other), None),
        (Some(&ours), Some("b")),
        (None, Some("b")),
    ] {
        let found = standing("a", managed_by, assigned);
        assert!(matches!(found, Standing::Others(other) if other.namespace == "b"));
    }
}
