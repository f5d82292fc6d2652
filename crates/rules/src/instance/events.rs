//! Events: what a change of the status means to people. Pure.

use cortecs_resources::{
    conditions::{READY, STALLED, find_condition},
    instance_status::CortecsInstanceStatus,
    reason::Reason,
};

use crate::event::EventText;

/// The events for the change from `old` to `new`: one event for each new reason, no more.
pub fn derive_events(
    old: Option<&CortecsInstanceStatus>,
    new: &CortecsInstanceStatus,
) -> Vec<EventText> {
    let mut events = Vec::new();
    let before = |kind| old.and_then(|s| find_condition(&s.conditions, kind));
    if let Some(voided) = new.journal.voided_starts.last()
        && old
            .and_then(|s| s.journal.voided_starts.last())
            .map(|v| v.id)
            != Some(voided.id)
    {
        events.push(EventText {
            warning: true,
            reason: "StartVoided".to_owned(),
            note: format!(
                "nothing came of the start of {}: it is tried again",
                voided.args.model_id
            ),
        });
    }
    if let Some(id) = &new.instance_id
        && old.and_then(|s| s.instance_id.as_ref()) != Some(id)
    {
        events.push(EventText {
            warning: false,
            reason: "Bound".to_owned(),
            note: format!("instance {id} is this resource's"),
        });
    }
    if let Some(ready) = find_condition(&new.conditions, READY)
        && before(READY).is_none_or(|b| (&b.reason, &b.status) != (&ready.reason, &ready.status))
    {
        events.push(EventText {
            warning: find_condition(&new.conditions, STALLED).is_some()
                || Reason::of(ready) == Some(Reason::RetryingAfterError),
            reason: ready.reason.clone(),
            note: ready.message.clone(),
        });
    }
    events
}

/// The event for a status that someone else emptied and this process restored.
pub fn status_restored() -> EventText {
    EventText {
        warning: true,
        reason: "StatusRestored".to_owned(),
        note: "someone else had emptied the status: it was put back".to_owned(),
    }
}

/// The event for a resource that is deleted because it has expired.
pub fn has_expired() -> EventText {
    EventText {
        warning: false,
        reason: "DeletedAfterExpiry".to_owned(),
        note: "the resource is deleted: ttlSecondsAfterExpired has passed since expireTime"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cortecs_resources::conditions::set_condition;
    use jiff::Timestamp;

    use super::*;

    fn status(ready: bool, reason: Reason, message: &str) -> CortecsInstanceStatus {
        let mut status = CortecsInstanceStatus::default();
        set_condition(
            &mut status.conditions,
            READY,
            ready,
            reason,
            message,
            1,
            Timestamp::UNIX_EPOCH,
        );
        status
    }

    #[test]
    fn each_new_reason_is_told_once() {
        let starting = status(false, Reason::Starting, "step 1 of 5");
        assert_eq!(derive_events(None, &starting).len(), 1);
        assert_eq!(
            derive_events(
                Some(&starting),
                &status(false, Reason::Starting, "step 2 of 5")
            ),
            []
        );
        let told = derive_events(Some(&starting), &status(true, Reason::Running, "runs"));
        assert_eq!(
            (told.len(), told[0].warning, told[0].reason.as_str()),
            (1, false, "Running")
        );
    }

    #[test]
    fn what_needs_a_person_is_a_warning() {
        let mut stalled = status(false, Reason::InvalidArguments, "no such model");
        set_condition(
            &mut stalled.conditions,
            STALLED,
            true,
            Reason::InvalidArguments,
            "",
            1,
            Timestamp::UNIX_EPOCH,
        );
        let told = derive_events(None, &stalled);
        assert!(told[0].warning && told[0].note == "no such model");
    }

    #[test]
    fn a_new_instance_is_told() {
        let mut bound = status(false, Reason::Starting, "");
        bound.instance_id = Some("i-1".into());
        let told = derive_events(Some(&status(false, Reason::Starting, "")), &bound);
        assert_eq!(
            told.iter().map(|t| t.reason.as_str()).collect::<Vec<_>>(),
            ["Bound"]
        );
    }
}
