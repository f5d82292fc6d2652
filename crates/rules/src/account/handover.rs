//! An account that a person gave to an operator which does not take it: most likely the annotation has a typo.
//!
//! The operator that the annotation names writes its name into the status within seconds. The others leave the account alone, so one of
//! them says once that nobody has taken it, and changes nothing else.

use cortecs_resources::{
    account::CortecsAccountStatus,
    conditions::{STALLED, find_condition},
    reason::Reason,
};
use jiff::Timestamp;

use super::status::{Progress, conditions};

/// What to say of an account that the operator in the namespace `assigned` has not taken; `None`: it has, or somebody has said it. `us`:
/// the namespace of this operator.
pub fn unclaimed(
    us: &str,
    assigned: &str,
    status: Option<&CortecsAccountStatus>,
) -> Option<String> {
    let manager = status.and_then(|status| status.managed_by.as_ref());
    let manager = manager.map(|manager| manager.namespace.as_str());
    if manager == Some(assigned) {
        return None;
    }
    let names =
        format!("annotation cortecs.ai/operator names the operator in namespace {assigned:?}");
    let shown = status.and_then(|status| find_condition(&status.conditions, STALLED));
    let is_shown = shown.is_some_and(|stalled| {
        Reason::of(stalled) == Some(Reason::ManagedElsewhere) && stalled.message.contains(&names)
    });
    if is_shown {
        return None;
    }
    let mut known: Vec<&str> = manager.into_iter().chain([us]).collect();
    known.dedup();
    Some(format!(
        "{names}, and none there has taken the account: nothing is done for it and for the instances that use it. Correct or remove \
         the annotation. There are operators in {}",
        known.join(" and ")
    ))
}

/// The status that says so.
pub fn next_status(
    previous: &CortecsAccountStatus,
    generation: i64,
    message: String,
    now: Timestamp,
) -> CortecsAccountStatus {
    let judged = (Progress::Stalled, Reason::ManagedElsewhere, message);
    CortecsAccountStatus {
        conditions: conditions(previous, judged, generation, now),
        ..previous.clone()
    }
}

#[cfg(test)]
mod tests {
    use cortecs_resources::{account::ManagedBy, conditions::READY};

    use super::*;

    fn managed_by(namespace: &str) -> CortecsAccountStatus {
        CortecsAccountStatus {
            managed_by: Some(ManagedBy {
                namespace: namespace.to_owned(),
                ..ManagedBy::default()
            }),
            ..CortecsAccountStatus::default()
        }
    }

    #[test]
    fn an_account_that_nobody_takes_names_the_operators_that_are_known() {
        let before = managed_by("here");
        let said = unclaimed("here", "heer", Some(&before)).unwrap();
        assert!(
            said.contains("\"heer\"") && said.ends_with("operators in here"),
            "{said}"
        );
        let said = unclaimed("there", "heer", Some(&before)).unwrap();
        assert!(said.ends_with("operators in here and there"), "{said}");
        assert!(unclaimed("here", "heer", None).is_some());
        assert_eq!(unclaimed("here", "there", Some(&managed_by("there"))), None);
    }

    #[test]
    fn it_is_said_once_whoever_says_it() {
        let before = managed_by("here");
        let said = unclaimed("here", "heer", Some(&before)).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let shown = next_status(&before, 3, said, now);
        assert_eq!(shown.managed_by, before.managed_by);
        let ready = find_condition(&shown.conditions, READY).unwrap();
        assert_eq!(
            (ready.status.as_str(), ready.reason.as_str()),
            ("False", "ManagedElsewhere")
        );
        for us in ["here", "there"] {
            assert_eq!(unclaimed(us, "heer", Some(&shown)), None, "{us}");
            assert!(unclaimed(us, "her", Some(&shown)).is_some(), "{us}");
        }
    }
}
