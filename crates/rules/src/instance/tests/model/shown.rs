//! What of a status decisions read again: all else only tells people, and is left out of the state.

use cortecs_resources::{
    instance_status::{CortecsInstanceStatus, Phase},
    journal::{Journal, Slot},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::instance::tests::*;

/// The status without what is only told. `with_times`: what is billed depends on when something was asked to run.
pub fn shown(status: &CortecsInstanceStatus, with_times: bool) -> CortecsInstanceStatus {
    let slot = status.slot();
    let mut journal = Journal::default();
    journal.slots.current = Slot {
        start: slot.start.clone(),
        restart: slot.restart.clone(),
        requested_args: slot.requested_args.clone(),
        // That there is one tells a status that was emptied from one that records nothing any more.
        last_start_time: slot.last_start_time.map(|at| {
            if with_times {
                at
            } else {
                Timestamp::UNIX_EPOCH
            }
        }),
        ..Slot::default()
    };
    CortecsInstanceStatus {
        journal,
        // It is shown before the first call of a deletion.
        phase: status.phase.filter(|phase| *phase == Phase::Deleting),
        instance_id: status.instance_id.clone(),
        instance_args: status.instance_args.clone(),
        account: status.account.clone(),
        last_handled_restart_at: status.last_handled_restart_at.clone(),
        conditions: if is_unresolved(status) {
            vec![Condition {
                type_: STALLED.into(),
                status: "True".into(),
                reason: "StartUnresolved".into(),
                message: String::new(),
                last_transition_time: Time(Timestamp::UNIX_EPOCH),
                observed_generation: None,
            }]
        } else {
            Vec::new()
        },
        ..CortecsInstanceStatus::default()
    }
}

/// Whether a person is asked.
pub fn is_unresolved(status: &CortecsInstanceStatus) -> bool {
    find_condition(&status.conditions, STALLED).is_some_and(|c| c.reason == "StartUnresolved")
}

/// Whether a person is asked, and has not answered.
pub fn asks(object: &CortecsInstance) -> bool {
    object
        .status
        .as_ref()
        .is_some_and(|s| s.slot().start.is_some() && is_unresolved(s))
}
