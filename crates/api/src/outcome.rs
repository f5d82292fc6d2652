//! The outcome of a call, by the status and the body of its answer. Pure.

use std::time::Duration;

use serde::de::IgnoredAny;

use crate::{
    call::Call,
    error::{Cause, Error},
    text,
};

/// Why a body is of no use.
#[cfg_attr(
    not(feature = "client"),
    expect(dead_code, reason = "only the client knows what a call is about")
)]
pub(super) enum Flaw {
    Unusable(String),
    /// It is about something else than the call.
    Contradicts(&'static str),
}

impl From<String> for Flaw {
    fn from(why: String) -> Self {
        Self::Unusable(why)
    }
}

/// The outcome of a call that was answered with a success.
///
/// A start, a restart, a stop and a token count with any 2xx whose body is usable, everything else with 200 only. Another success of a stop
/// or a delete, and one without a usable body, says that the API took the call, and not what came of it.
pub(super) fn of_success<T, E: Into<Flaw>>(
    call: Call,
    status: u16,
    body: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, Cause> {
    let flaw = match parse(body).map_err(Into::into) {
        Ok(value) if status == 200 || call.counts_with_any_success() => return Ok(value),
        Ok(_) => Flaw::Unusable("it does not come with HTTP 200".to_owned()),
        Err(flaw) => flaw,
    };
    let is_page = text::is_page_body(body);
    let why = match flaw {
        Flaw::Unusable(why) if call.removes() && !is_page => {
            return Err(Cause::Accepted { status, why });
        }
        Flaw::Unusable(why) => why,
        Flaw::Contradicts(why) => why.to_owned(),
    };
    Err(Cause::Malformed {
        status,
        why,
        is_page,
    })
}

/// The failure of a call that was answered with anything but a success. A body that could not be read takes nothing from the status.
pub(super) fn of_refusal(
    status: u16,
    body: Option<&[u8]>,
    retry_after: Option<Duration>,
    location: Option<&str>,
    secrets: &[&str],
) -> Cause {
    let is_foreign = (400..500).contains(&status) && body.is_some_and(is_foreign);
    Cause::Status {
        status,
        message: body.and_then(|body| text::message(body, secrets)),
        retry_after,
        location: location
            .filter(|_| (300..400).contains(&status))
            .and_then(|location| text::tidy(without_query(location), secrets)),
        is_foreign,
    }
}

/// A query or a user may be secret.
fn without_query(location: &str) -> &str {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    let location = &location[..end];
    match location.contains('@') {
        true => "",
        false => location,
    }
}

/// The API says in JSON why it refuses a call, or says nothing.
fn is_foreign(body: &[u8]) -> bool {
    !body.trim_ascii().is_empty() && serde_json::from_slice::<IgnoredAny>(body).is_err()
}

/// Errors as they come from the API, for tests of what is built on this.
impl Error {
    /// The error of a call that was answered with this status, and without a body.
    pub fn answered(call: Call, status: u16) -> Self {
        Self::answered_with(call, status, b"", &[])
    }

    /// The error of a call that was answered with this status, and with a body that is of no use for it. None of `secrets` is shown.
    pub fn answered_with(call: Call, status: u16, body: &[u8], secrets: &[&str]) -> Self {
        let cause = match status {
            200..300 => {
                let nothing = |_: &[u8]| Err::<(), _>("it is of no use".to_owned());
                match of_success(call, status, body, nothing) {
                    Ok(()) => Cause::Invalid("the answer is no error"),
                    Err(cause) => cause,
                }
            }
            _ => of_refusal(status, Some(body), None, None, secrets),
        };
        Self::new(call, cause)
    }
}
