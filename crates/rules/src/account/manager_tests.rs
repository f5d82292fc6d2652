use super::*;

fn operator(namespace: &str) -> ManagedBy {
    ManagedBy {
        namespace: namespace.to_owned(),
        lease: Some("cortecs-operator".to_owned()),
    }
}

fn owner(managed_by: Option<&str>, assigned: Option<&str>, life: Life) -> Manager {
    let managed_by = managed_by.map(operator);
    decide_manager(&operator("ours"), managed_by.as_ref(), assigned, life)
}

fn why(owner: Manager) -> Option<Why> {
    match owner {
        Manager::Other(other) => Some(other.why),
        _ => None,
    }
}

#[test]
fn what_nobody_manages_is_free_and_what_we_manage_is_ours() {
    assert_eq!(owner(None, None, Life::Unknown), Manager::Free);
    assert_eq!(owner(Some("ours"), None, Life::Unknown), Manager::Us);
}

#[test]
fn what_another_one_manages_is_its_own_until_it_is_gone_for_sure() {
    for (life, expected) in [
        (Life::Unknown, Some(Why::Unchecked)),
        (Life::Runs, Some(Why::Runs)),
        (
            Life::Unseen("forbidden".to_owned()),
            Some(Why::Unseen("forbidden".to_owned())),
        ),
        (Life::Gone, None),
    ] {
        let owner = owner(Some("theirs"), None, life);
        assert!(expected.is_some() || owner == Manager::Free);
        assert_eq!(why(owner), expected);
    }
}

#[test]
fn a_person_has_the_last_word() {
    for life in [Life::Runs, Life::Gone, Life::Unseen(String::new())] {
        assert_eq!(
            owner(Some("theirs"), Some("ours"), life.clone()),
            Manager::Free
        );
        assert_eq!(owner(Some("ours"), Some("ours"), life.clone()), Manager::Us);
        let given_away = owner(Some("ours"), Some("theirs"), life.clone());
        assert_eq!(why(given_away), Some(Why::Assigned));
        assert_eq!(why(owner(None, Some("theirs"), life)), Some(Why::Assigned));
    }
}

#[test]
fn an_operator_that_began_to_take_part_in_the_election_says_so() {
    let alone = ManagedBy {
        lease: None,
        ..operator("ours")
    };
    let decided = decide_manager(&operator("ours"), Some(&alone), None, Life::Unknown);
    assert_eq!(decided, Manager::Free);
}

#[test]
fn two_that_cannot_see_each_other_do_not_take_turns() {
    let managed_by = operator("theirs");
    let unseen = Life::Unseen("it has no Lease".to_owned());
    for us in ["a", "b"] {
        let decided = decide_manager(&operator(us), Some(&managed_by), None, unseen.clone());
        assert!(matches!(decided, Manager::Other(_)), "{decided:?}");
    }
}

#[test]
fn only_what_nobody_has_settled_is_a_contest() {
    let other = |why| Other {
        namespace: "theirs".to_owned(),
        why,
    };
    assert!(other(Why::Runs).is_contest());
    assert!(other(Why::Unseen(String::new())).is_contest());
    assert!(!other(Why::Assigned).is_contest());
    assert!(!other(Why::Unchecked).is_contest());
    for why in [Why::Runs, Why::Unseen("forbidden".to_owned())] {
        let said = other(why).explain("ours");
        for part in ["theirs", "ours", "cortecs.ai/operator"] {
            assert!(said.contains(part), "{said}");
        }
    }
}

fn at(seconds: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(1000 + seconds))
}

fn held(version: u32) -> Option<LeaseRecord> {
    Some(LeaseRecord {
        holder: Some("somebody".to_owned()),
        duration: Some(Duration::from_secs(15)),
        version: version.to_string(),
    })
}

fn released(version: u32) -> Option<LeaseRecord> {
    held(version).map(|record| LeaseRecord {
        holder: None,
        ..record
    })
}

#[test]
fn a_lease_that_moves_is_somebody_alive() {
    let mut seen = Sighting::default();
    assert_eq!(seen.life(at(0)), Life::Unknown);
    for second in 0..300 {
        seen.saw(held(second), at(second.into()));
        assert_eq!(seen.life(at(second.into())), Life::Runs);
    }
}

#[test]
fn one_that_stands_still_is_gone_after_its_duration_and_the_time_of_a_restart() {
    let mut seen = Sighting::default();
    for second in 0..75 {
        seen.saw(held(1), at(second));
        assert_eq!(seen.life(at(second)), Life::Runs, "{second}");
    }
    seen.saw(held(1), at(75));
    assert_eq!(seen.life(at(75)), Life::Gone);
    seen.saw(held(2), at(76));
    assert_eq!(seen.life(at(76)), Life::Runs, "it is back");
}

#[test]
fn one_that_is_released_or_not_there_is_gone_after_the_time_of_a_restart() {
    for record in [released(1), None] {
        let mut seen = Sighting::default();
        seen.saw(record.clone(), at(0));
        assert_eq!(seen.life(at(59)), Life::Runs);
        seen.saw(record.clone(), at(60));
        assert_eq!(seen.life(at(60)), Life::Gone);
    }
    let mut restarted = Sighting::default();
    restarted.saw(released(1), at(0));
    restarted.saw(held(2), at(30));
    restarted.saw(released(3), at(50));
    assert_eq!(restarted.life(at(100)), Life::Runs, "counted anew");
    assert_eq!(restarted.life(at(110)), Life::Gone);
}

#[test]
fn what_cannot_be_read_proves_nothing() {
    let mut seen = Sighting::default();
    seen.saw(released(1), at(0));
    seen.could_not_look();
    assert_eq!(seen.life(at(100)), Life::Runs);
    seen.saw(released(1), at(100));
    assert_eq!(seen.life(at(159)), Life::Runs);
    seen.may_not_look("forbidden".to_owned());
    assert_eq!(seen.life(at(500)), Life::Unseen("forbidden".to_owned()));
    seen.saw(held(1), at(501));
    assert_eq!(seen.life(at(501)), Life::Runs);
}
