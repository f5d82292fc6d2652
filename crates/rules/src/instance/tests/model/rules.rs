//! The checker can fail: with any one rule switched off it finds what the rule is for, breadth first, so that the trace
//! is a shortest one.

use super::{config::*, *};

/// A small configuration in which only what the rule is about goes wrong.
pub(super) fn small(name: &'static str, kinds: &[Kind], off: Off, budgets: Budgets) -> Config {
    Config {
        off: vec![off],
        budgets,
        goal: false,
        ..Config::new(name, kinds)
    }
}

/// Without the rule the property is broken, and with it everything is explored and nothing is. Returns what is missing
/// for the goal in the end, if that is broken.
pub(super) fn must_break(config: Config, property: &'static str) -> String {
    let name = config.name;
    let with = Config {
        off: Vec::new(),
        ..config.clone()
    };
    let lab = Lab::new(config.clone());
    let found = shortest(config, property);
    let trace = found.broken.get(property);
    let Some(trace) = trace else {
        panic!("{name}: nothing is found, in {} states", found.unique);
    };
    println!(
        "without {name}: {property}: broken after {} events",
        trace.len()
    );
    for event in trace {
        println!("  {event:?}");
    }
    let end = trace.iter().fold(lab.initial(), |s, e| s.after(&lab, e));
    let missing = goal::reaches_goal(&lab, &end).err().unwrap_or_default();
    println!("  the goal: {missing}");
    let lab = Lab::new(with.clone());
    let found = all(with, 1);
    println!("with {name}: {} states", found.unique);
    if let Some((property, trace)) = found.broken.iter().next() {
        let end = trace.iter().fold(lab.initial(), |s, e| s.after(&lab, e));
        let missing = goal::reaches_goal(&lab, &end).err();
        panic!("{name}: with the rule, {property}: {trace:?}; the goal: {missing:?}");
    }
    assert!(found.exhausted, "{name}: with the rule: not exhausted");
    missing
}

const NONE: Budgets = Budgets {
    starts: 2,
    crashes: 0,
    takeovers: 0,
    faults: 0,
    lags: 0,
    cuts: 0,
    freezes: 0,
    orders: 0,
    strangers: 0,
    overtakes: 0,
};

#[test]
fn without_the_intents_write_a_crash_makes_two() {
    let budgets = Budgets { crashes: 1, ..NONE };
    must_break(
        small("the intent's write", &[READY], Off::IntentWrite, budgets),
        ONE_EACH,
    );
}

#[test]
fn with_a_second_call_for_an_intent_there_are_two() {
    let budgets = Budgets { faults: 1, ..NONE };
    let off = Off::Decided(Rule::OneCall);
    must_break(
        small("one call per intent", &[READY], off, budgets),
        ONE_EACH,
    );
}

#[test]
fn without_the_finalizer_a_deleted_resource_leaves_its_instance() {
    let budgets = Budgets { orders: 1, ..NONE };
    let off = Off::Decided(Rule::FinalizerFirst);
    let mut config = small("the finalizer before the call", &[NEW], off, budgets);
    config.orders = vec![(0, Order::Delete)];
    must_break(config, NONE_LEFT);
}

#[test]
fn when_what_may_be_of_others_is_known_one_leaks() {
    let budgets = Budgets {
        starts: 2,
        crashes: 1,
        lags: 1,
        ..NONE
    };
    let off = Off::Decided(Rule::OthersMayOwn);
    let mut config = small(
        "not knowing what may be of others",
        &[READY, READY],
        off,
        budgets,
    );
    config.goal = true;
    must_break(config, NO_WEDGE);
}

/// Two calls end in different ticks, and both take effect at the last moment.
#[test]
fn when_equal_starts_do_not_settle_together_there_are_two() {
    let budgets = Budgets {
        starts: 3,
        faults: 2,
        ..NONE
    };
    let off = Off::Decided(Rule::EqualStartsSettle);
    let mut config = small("waiting for equal starts", &[READY, READY], off, budgets);
    config.faults = vec![Fault::Late];
    config.slow = true;
    must_break(config, ONE_EACH);
}

/// Lists that are cut short lack what a start has made, and what others have as well.
#[test]
fn when_the_absences_of_a_list_are_believed_that_lacks_what_exists_one_leaks() {
    let budgets = Budgets {
        starts: 2,
        cuts: 3,
        faults: 1,
        ..NONE
    };
    let off = Off::Decided(Rule::AbsenceIsDoubted);
    let mut config = small("doubting absences", &[READY, RUNNING], off, budgets);
    config.faults = vec![Fault::LostAfter];
    must_break(config, ONE_EACH);
}

/// The process that let it go remembers that; the next one does not.
#[test]
fn when_open_starts_are_not_told_they_take_what_was_left_behind() {
    let budgets = Budgets {
        starts: 2,
        crashes: 1,
        faults: 1,
        orders: 1,
        ..NONE
    };
    let kind = Kind {
        policy: DeletionPolicy::Orphan,
        ..RUNNING
    };
    let off = Off::Decided(Rule::OpenStartsAreTold);
    let mut config = small("telling open starts", &[READY, kind], off, budgets);
    config.orders = vec![(1, Order::Delete)];
    config.faults = vec![Fault::LostBefore];
    must_break(config, NO_STRANGER);
}

#[test]
fn when_one_list_proves_absence_an_instance_runs_on() {
    let budgets = Budgets {
        starts: 1,
        faults: 1,
        lags: 1,
        orders: 1,
        ..NONE
    };
    let off = Off::Decided(Rule::Gone);
    let mut config = small("the gone rule", &[READY], off, budgets);
    config.orders = vec![(0, Order::Delete)];
    config.faults = vec![Fault::LostBefore];
    must_break(config, NONE_LEFT);
}

#[test]
fn when_a_restart_is_not_written_ahead_a_late_one_runs_without_an_owner() {
    let budgets = Budgets {
        starts: 0,
        faults: 1,
        orders: 2,
        ..NONE
    };
    let kind = Kind {
        policy: DeletionPolicy::Stop,
        begin: Begin::Stopped,
        ..READY
    };
    let off = Off::Decided(Rule::RestartAhead);
    let mut config = small("restarts written ahead", &[kind], off, budgets);
    config.orders = vec![(0, Order::Run), (0, Order::Delete)];
    config.faults = vec![Fault::Late];
    must_break(config, NONE_LEFT);
}

/// A resource that leaves its instance stopped, which a list that lags shows as it was.
fn left_stopped(name: &'static str, begin: Begin, off: Rule) -> Config {
    let budgets = Budgets {
        starts: 0,
        faults: 1,
        lags: 1,
        orders: 2,
        ..NONE
    };
    let kind = Kind {
        policy: DeletionPolicy::Stop,
        begin,
        ..READY
    };
    let mut config = small(name, &[kind], Off::Decided(off), budgets);
    config.orders = vec![(0, Order::Run), (0, Order::Restart), (0, Order::Delete)];
    config
}

#[test]
fn when_a_restart_is_done_once_it_is_seen_to_run_a_late_one_runs_without_an_owner() {
    let off = Rule::RestartStaysOpen;
    let mut config = left_stopped("a restart that stays open", Begin::Running, off);
    config.faults = vec![Fault::Late];
    must_break(config, NONE_LEFT);
}

#[test]
fn when_a_list_proves_that_it_is_stopped_it_runs_without_an_owner() {
    let off = Rule::StopProven;
    let mut config = left_stopped("the proof that it is stopped", Begin::Stopped, off);
    config.faults = vec![Fault::LostBefore];
    must_break(config, NONE_LEFT);
}

#[test]
fn when_a_status_is_taken_for_a_refusal_there_are_two() {
    for status in [302, 402, 408, 409] {
        let budgets = Budgets { faults: 1, ..NONE };
        let mut config = small("unknown statuses", &[READY], Off::StatusClasses, budgets);
        config.faults = vec![Fault::Status(status)];
        must_break(config, ONE_EACH);
    }
}

#[test]
fn without_the_quorum_read_a_stale_beginning_claims_an_instance_twice() {
    let budgets = Budgets {
        starts: 1,
        crashes: 1,
        freezes: 1,
        ..NONE
    };
    let off = Off::Decided(Rule::QuorumRead);
    let config = Config {
        stale: true,
        ..small("the quorum read", &[READY, READY], off, budgets)
    };
    must_break(config, ONE_CLAIM);
}

/// Whoever begins with the newest state, and ends at its deadline, knows every claim: the read is a second lock.
#[test]
fn without_the_quorum_read_the_deadline_and_a_fresh_beginning_suffice() {
    let budgets = Budgets {
        starts: 1,
        crashes: 1,
        freezes: 1,
        ..NONE
    };
    let off = Off::Decided(Rule::QuorumRead);
    let config = small("the quorum read", &[READY, READY], off, budgets);
    let found = all(config, 1);
    assert!(found.exhausted, "{:?}", found.broken);
}

#[test]
fn when_the_old_holder_acts_on_an_instance_is_claimed_twice() {
    let budgets = Budgets {
        starts: 1,
        takeovers: 1,
        freezes: 1,
        ..NONE
    };
    let off = Off::Deadline;
    must_break(
        small("the lease's deadline", &[READY, READY], off, budgets),
        ONE_CLAIM,
    );
}

#[test]
fn when_no_start_is_overtaken_one_that_asks_a_person_wedges_others() {
    let budgets = Budgets { faults: 1, ..NONE };
    let off = Off::Decided(Rule::StartsAreOvertaken);
    let config = Config {
        budgets: Budgets {
            overtakes: 1,
            ..budgets
        },
        shared: true,
        answers: false,
        faults: vec![Fault::LostAfter],
        goal: true,
        ..small(
            "overtaking a start that asks a person",
            &[READY, READY],
            off,
            budgets,
        )
    };
    let wedged = must_break(config, NO_WEDGE);
    assert!(wedged.ends_with("has no instance"), "{wedged}");
}

#[test]
fn without_known_ids_an_outsiders_instance_is_taken() {
    let budgets = Budgets {
        starts: 1,
        faults: 1,
        strangers: 1,
        ..NONE
    };
    let mut config = small("known ids", &[READY], Off::KnownIds, budgets);
    config.faults = vec![Fault::LostBefore];
    must_break(config, NO_STRANGER);
}

#[test]
fn in_a_shared_account_likeness_takes_what_is_not_proven() {
    let budgets = Budgets { faults: 1, ..NONE };
    let config = Config {
        shared: true,
        ..small(
            "asking in a shared account",
            &[READY],
            Off::Sharing,
            budgets,
        )
    };
    must_break(config, NO_STRANGER);
}
