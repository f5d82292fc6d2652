//! A fault that is none: a success other than the usual one.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::fault::{Effect, FaultBody};

/// The call is carried out, and answered with this success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Success {
    pub status: u16,
    /// The body instead of the true one.
    #[serde(default)]
    pub body: Option<FaultBody>,
    /// How much later than its answer the call has its effect. Then there is no true body yet: without a `body` it has none.
    #[serde(default, rename = "milliseconds", with = "super::millis")]
    pub late: Duration,
}

impl Effect {
    /// Carries the call out, and answers with this success and the true body.
    pub fn success(status: u16) -> Self {
        Self::Success(Success {
            status,
            body: None,
            late: Duration::ZERO,
        })
    }

    /// Carries the call out, and answers with this success and body.
    pub fn success_with(status: u16, body: FaultBody) -> Self {
        Self::Success(Success {
            status,
            body: Some(body),
            late: Duration::ZERO,
        })
    }

    /// Answers with 202 and a message, and carries the call out after this time.
    pub fn accept(late: Duration) -> Self {
        Self::Success(Success {
            status: 202,
            body: Some(FaultBody::Message("Accepted".to_owned())),
            late,
        })
    }
}

impl fmt::Display for Success {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "success {}", self.status)?;
        match (&self.body, self.late) {
            (_, late) if !late.is_zero() => write!(formatter, ", effect {late:?} later"),
            (Some(_), _) => formatter.write_str(" with another body"),
            (None, _) => Ok(()),
        }
    }
}
