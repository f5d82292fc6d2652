//! The hold of an account, as this process knows it even if the status loses it. Pure.

use cortecs_resources::{
    account::{CortecsAccountStatus, Hold},
    conditions::whole_seconds,
};
use jiff::Timestamp;

/// An account's hold, and how earlier ones ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldRecord {
    pub hold: Option<Hold>,
    /// The value of `cortecs.ai/resume` that counts as handled.
    pub handled_resume: Option<String>,
    /// When the last hold ended.
    pub ended_at: Option<Timestamp>,
}

impl HoldRecord {
    /// The record after `status` was seen. A hold that the status lacks stays, unless the status says that the hold ended, or the
    /// hold is `ending`: this process is writing its end. With the hold stays the order to resume that counts as handled.
    pub fn followed_by(
        &self,
        status: Option<&CortecsAccountStatus>,
        ending: Option<&Hold>,
    ) -> Self {
        let hold = status.and_then(|s| s.hold.clone());
        let handled_resume = status.and_then(|s| s.last_handled_resume.clone());
        let ended_at = status.and_then(|s| s.last_hold_end_time);
        let ended = |hold: &Hold| {
            ending == Some(hold) || ended_at.is_some_and(|ended_at| ended_at >= hold.since)
        };
        let kept = self
            .hold
            .as_ref()
            .filter(|known| hold.is_none() && !ended(known));
        Self {
            handled_resume: match kept {
                Some(_) => handled_resume.or_else(|| self.handled_resume.clone()),
                None => handled_resume,
            },
            hold: hold.or_else(|| kept.cloned()),
            ended_at: ended_at.max(self.ended_at),
        }
    }

    /// The end of a hold that ends now. It is never before the hold began, also when the clock was set back.
    pub fn end(&self, wall: Timestamp) -> Option<Timestamp> {
        let wall = whole_seconds(wall).0;
        self.hold.as_ref().map(|hold| wall.max(hold.since))
    }
}

#[cfg(test)]
mod tests {
    use cortecs_resources::account::HoldReason;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn held() -> CortecsAccountStatus {
        CortecsAccountStatus {
            hold: Some(Hold {
                reason: HoldReason::MassChange,
                since: at(100),
                expected: 5,
                lost: 5,
                api_url: "https://api.example/v1".to_owned(),
                client_id: "client".to_owned(),
            }),
            last_handled_resume: Some("old".to_owned()),
            ..CortecsAccountStatus::default()
        }
    }

    fn known() -> HoldRecord {
        HoldRecord::default().followed_by(Some(&held()), None)
    }

    #[test]
    fn a_hold_that_somebody_takes_away_stays_and_with_it_that_the_order_is_old() {
        assert_eq!(known().hold, held().hold);
        assert_eq!(known().followed_by(None, None), known());
        let emptied = CortecsAccountStatus::default();
        assert_eq!(known().followed_by(Some(&emptied), None), known());
        let earlier = CortecsAccountStatus {
            hold: None,
            last_hold_end_time: Some(at(99)),
            ..held()
        };
        let after = known().followed_by(Some(&earlier), None);
        assert_eq!(after.hold, held().hold, "an earlier one has ended");
    }

    #[test]
    fn a_hold_ends_by_what_is_written() {
        let ended = CortecsAccountStatus {
            hold: None,
            last_hold_end_time: known().end(at(100)),
            ..held()
        };
        let after = known().followed_by(Some(&ended), None);
        assert_eq!((after.hold, after.ended_at), (None, Some(at(100))));
        assert_eq!(known().end(at(50)), Some(at(100)), "the clock was set back");
        // An API server that does not know the field drops it.
        let dropped = CortecsAccountStatus {
            hold: None,
            ..held()
        };
        let after = known().followed_by(Some(&dropped), held().hold.as_ref());
        assert_eq!(after.hold, None);
    }

    #[test]
    fn another_hold_takes_its_place() {
        let mut other = held();
        other.hold.as_mut().unwrap().client_id = "other".to_owned();
        assert_eq!(known().followed_by(Some(&other), None).hold, other.hold);
    }
}
