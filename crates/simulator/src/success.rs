//! Bodies of answers on demand, and a fault that is none: a success other than the usual one.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// The body of a faulty answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultBody {
    Empty,
    /// `{"message": …}`
    Message(String),
    /// Of content type `text/html`, as a proxy sends it.
    Html(String),
    /// Any text, of content type `application/json`.
    Raw(String),
}

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

impl Success {
    pub(super) fn new(status: u16, body: Option<FaultBody>) -> Self {
        let late = Duration::ZERO;
        Self { status, body, late }
    }

    pub(super) fn accepted(late: Duration) -> Self {
        let body = FaultBody::Message("Accepted".to_owned());
        Self {
            late,
            ..Self::new(202, Some(body))
        }
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
