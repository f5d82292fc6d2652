//! Faults on demand: the requests that they meet, and their effects.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    endpoint::Endpoint,
    success::{FaultBody, Success},
};

/// The most faults that wait at the same time.
const MAX_FAULTS: usize = 1_000;

/// The requests that a fault can meet. In JSON: `"any"` or an endpoint's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Every call of the API, the token call included.
    #[default]
    Any,
    #[serde(untagged)]
    Only(Endpoint),
}

impl From<Endpoint> for Target {
    fn from(endpoint: Endpoint) -> Self {
        Self::Only(endpoint)
    }
}

/// Whether a fault comes before or after the call's effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The call has no effect, or with a delay a late effect.
    Before,
    /// The call has its effect, but its true answer does not arrive.
    After,
}

/// The effect of a fault. In JSON: an object with `kind` in `snake_case` and the fields. Durations are whole milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Answers this instead of the true answer.
    Answer {
        when: When,
        status: u16,
        body: FaultBody,
        /// The header `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
        #[serde(default)]
        location: Option<String>,
    },
    /// Ends the connection without an answer: with a TCP reset, or in order.
    Drop {
        when: When,
        #[serde(default)]
        reset: bool,
    },
    /// Waits. The call goes on even if the client has closed the connection.
    Delay {
        when: When,
        #[serde(rename = "milliseconds", with = "super::millis")]
        duration: Duration,
    },
    /// The true status with a body that is not JSON.
    MalformedBody,
    /// The true status and length, but the connection ends in the middle of the body.
    TruncatedBody,
    /// A list has only every other instance, and says that there are more.
    CutList,
    /// The true status and message without the instance, the ids or the list.
    WithoutInstance,
    /// The true status with a body of this many bytes.
    HugeBody { bytes: u64 },
    /// Lets the token of the request expire first, so that the answer is 401.
    ExpireToken,
    /// Another success than the usual one.
    Success(Success),
}

impl Effect {
    /// Refuses before the effect, with a JSON message.
    pub fn fail(status: u16, message: impl Into<String>) -> Self {
        Self::answer(When::Before, status, FaultBody::Message(message.into()))
    }

    /// Lets the effect happen, and answers with an error and a JSON message.
    pub fn fail_after(status: u16, message: impl Into<String>) -> Self {
        Self::answer(When::After, status, FaultBody::Message(message.into()))
    }

    /// Answers with an HTML page, as a proxy does.
    pub fn html(when: When, status: u16) -> Self {
        let page = format!(
            "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
        );
        Self::answer(when, status, FaultBody::Html(page))
    }

    /// Answers with this body before the effect, of content type `application/json`.
    pub fn raw(status: u16, body: impl Into<String>) -> Self {
        Self::answer(When::Before, status, FaultBody::Raw(body.into()))
    }

    /// Closes the connection in order, without an answer.
    pub fn close(when: When) -> Self {
        Self::Drop { when, reset: false }
    }

    /// Resets the connection, without an answer.
    pub fn reset(when: When) -> Self {
        Self::Drop { when, reset: true }
    }

    /// Waits.
    pub fn delay(when: When, duration: Duration) -> Self {
        Self::Delay { when, duration }
    }

    /// 429 before the effect, with `Retry-After` in whole seconds.
    pub fn rate_limit(retry_after: Duration) -> Self {
        Self::Answer {
            when: When::Before,
            status: 429,
            body: FaultBody::Message("Too many requests".to_owned()),
            retry_after: Some(retry_after.as_secs()),
            location: None,
        }
    }

    /// Redirects to `location` instead of doing anything.
    pub fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::Answer {
            when: When::Before,
            status,
            body: FaultBody::Empty,
            retry_after: None,
            location: Some(location.into()),
        }
    }

    /// Carries the call out, and answers with this success and the true body.
    pub fn success(status: u16) -> Self {
        Self::Success(Success::new(status, None))
    }

    /// Carries the call out, and answers with this success and body.
    pub fn success_with(status: u16, body: FaultBody) -> Self {
        Self::Success(Success::new(status, Some(body)))
    }

    /// Answers with 202 and a message, and carries the call out after this time.
    pub fn accept(late: Duration) -> Self {
        Self::Success(Success::accepted(late))
    }

    fn answer(when: When, status: u16, body: FaultBody) -> Self {
        Self::Answer {
            when,
            status,
            body,
            retry_after: None,
            location: None,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Before => "before the effect",
            Self::After => "after the effect",
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { when, status, .. } => write!(formatter, "answer {status} {when}"),
            Self::Drop { when, reset: true } => write!(formatter, "reset {when}"),
            Self::Drop { when, reset: false } => write!(formatter, "close {when}"),
            Self::Delay { when, duration } => write!(formatter, "delay of {duration:?} {when}"),
            Self::MalformedBody => formatter.write_str("malformed body"),
            Self::TruncatedBody => formatter.write_str("truncated body"),
            Self::CutList => formatter.write_str("cut list"),
            Self::WithoutInstance => formatter.write_str("without instance"),
            Self::HugeBody { bytes } => write!(formatter, "body of {bytes} bytes"),
            Self::ExpireToken => formatter.write_str("expired token"),
            Self::Success(success) => success.fmt(formatter),
        }
    }
}

/// A fault that waits for requests. A request meets at most one fault: the oldest that matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    #[serde(default)]
    pub endpoint: Target,
    pub effect: Effect,
    /// How many requests the fault meets; no limit if absent.
    #[serde(default)]
    pub times: Option<u32>,
    /// The probability that the fault meets a matching request; 1 if absent. Drawn from the simulator's seed.
    #[serde(default = "certain")]
    pub probability: f64,
    /// Limits the fault to requests about this model or an instance of it. The id is the one that a start takes.
    #[serde(default)]
    pub matches: Option<String>,
}

fn certain() -> f64 {
    1.0
}

impl Fault {
    /// A fault that meets every request to the endpoint, without limit.
    pub fn new(endpoint: impl Into<Target>, effect: Effect) -> Self {
        Self {
            endpoint: endpoint.into(),
            effect,
            times: None,
            probability: certain(),
            matches: None,
        }
    }

    /// A fault that meets one request to the endpoint.
    pub fn once(endpoint: impl Into<Target>, effect: Effect) -> Self {
        Self::new(endpoint, effect).times(1)
    }

    /// Limits the number of requests that the fault meets.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets the fault meet requests only with this probability, 0–1.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Limits the fault to requests about one model.
    #[must_use]
    pub fn matching(mut self, model_id: impl Into<String>) -> Self {
        self.matches = Some(model_id.into());
        self
    }

    fn fits(&self, endpoint: Endpoint, model: Option<&str>) -> bool {
        let here = match self.endpoint {
            Target::Any => true,
            Target::Only(only) => only == endpoint,
        };
        here && (self.matches.is_none() || self.matches.as_deref() == model)
    }
}

/// The id of a fault that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FaultId(u64);

impl fmt::Display for FaultId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0)
    }
}

/// The faults that wait.
pub(super) struct FaultBook {
    rng: fastrand::Rng,
    added: u64,
    faults: Vec<(FaultId, Fault)>,
}

impl FaultBook {
    pub(super) fn new(rng: fastrand::Rng) -> Self {
        Self {
            rng,
            added: 0,
            faults: Vec::new(),
        }
    }

    /// Adds a fault. Removes the oldest if there are too many.
    pub(super) fn add(&mut self, fault: Fault) -> FaultId {
        if self.faults.len() >= MAX_FAULTS {
            self.faults.remove(0);
        }
        self.added = self.added.saturating_add(1);
        let id = FaultId(self.added);
        self.faults.push((id, fault));
        id
    }

    pub(super) fn clear(&mut self) {
        self.faults.clear();
    }

    pub(super) fn remove_delays(&mut self) {
        self.faults
            .retain(|(_, fault)| !matches!(fault.effect, Effect::Delay { .. }));
    }

    pub(super) fn waiting(&self) -> Vec<(FaultId, Fault)> {
        self.faults.clone()
    }

    /// The fault that meets this request, if any. Counts it down.
    pub(super) fn draw(
        &mut self,
        endpoint: Endpoint,
        model: Option<&str>,
    ) -> Option<(FaultId, Effect)> {
        let rng = &mut self.rng;
        let index = self.faults.iter().position(|(_, fault)| {
            fault.times != Some(0)
                && fault.fits(endpoint, model)
                && (fault.probability >= 1.0 || rng.f64() < fault.probability)
        })?;
        let (id, fault) = self.faults.get_mut(index)?;
        let drawn = (*id, fault.effect.clone());
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.faults.remove(index);
            }
        }
        Some(drawn)
    }
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
