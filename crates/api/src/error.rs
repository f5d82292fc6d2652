//! Why a call failed, and what may be done about it.

use std::{sync::Arc, time::Duration};

use crate::call::Call;
#[cfg(feature = "client")]
use crate::call::CallOutcome;

/// The step that a caller may take after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetryClass {
    /// The same call may succeed later: back off and try again.
    Transient,
    /// The credentials are wrong or were withdrawn.
    Auth,
    /// The same call will be refused again until its arguments or the account change.
    Terminal,
    /// Only of a start or a restart: it may or may not have taken effect. Never send it again; look what is there.
    Ambiguous,
}

/// A failed call. Holds no secret, no URL and no body; at most the API's own message, cleaned and cut to 256 characters.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{call}{}: {cause}{}", if self.is_accepted() { "" } else { " failed" }, if self.class == RetryClass::Ambiguous { "; whether it took effect is not known" } else { "" })]
pub struct Error {
    call: Call,
    class: RetryClass,
    refused: bool,
    cause: Box<Cause>,
}

impl Error {
    pub(super) fn new(call: Call, cause: Cause) -> Self {
        let (class, refused) = classify(call, &cause);
        Self {
            call,
            class,
            refused,
            cause: Box::new(cause),
        }
    }

    /// The call that was asked for, also when what failed was fetching a token for it.
    pub fn call(&self) -> Call {
        self.call
    }

    /// The step that the caller may take next.
    pub fn class(&self) -> RetryClass {
        self.class
    }

    /// Whether the call certainly had no effect at the API: it was not sent, or was answered with a refusal.
    pub fn refused(&self) -> bool {
        self.refused
    }

    /// Whether the API took the call, a stop or a delete, without saying in a usable way what came of it. That is no failure:
    /// the next list shows it.
    pub fn is_accepted(&self) -> bool {
        matches!(*self.cause, Cause::Accepted { .. })
    }

    /// Whether the answer shows that the URL of the API leads elsewhere. Only of a token or a list, whose paths are always the same; a later
    /// one may be a passing fault.
    pub fn leads_elsewhere(&self) -> bool {
        let cause = self.cause.root();
        let of_token = self.call == Call::Token || matches!(*self.cause, Cause::Token(_));
        match cause {
            Cause::Status { status, .. } => {
                let fixed = of_token || self.call == Call::ListInstances;
                fixed && matches!(status, 300..=399 | 404 | 405 | 410)
            }
            Cause::Malformed {
                status: 200,
                is_page,
                ..
            } => of_token || (self.call == Call::ListInstances && *is_page),
            _ => false,
        }
    }

    /// The request to the API at this URL, and its answer.
    pub fn exchange(&self, api_url: &str) -> String {
        let of_token = self.call == Call::Token || matches!(*self.cause, Cause::Token(_));
        let (method, path) = match of_token {
            true => ("POST", TOKEN_PATH),
            false => ("GET", LIST_PATH),
        };
        let api_url = api_url.trim_end_matches('/');
        format!(
            "{method} {api_url}{path} was answered with {}",
            self.cause.root()
        )
    }

    /// Whether something in front of the API answered, such as a proxy: a 4xx whose body is not JSON.
    pub fn is_foreign(&self) -> bool {
        self.cause.root().is_foreign()
    }

    /// The HTTP status, if there was an answer. Of the token endpoint when that is what failed.
    pub fn status(&self) -> Option<u16> {
        self.cause.root().status()
    }

    /// The API's own words, if it gave any that may be shown.
    pub fn api_message(&self) -> Option<&str> {
        match self.cause.root() {
            Cause::Status { message, .. } => message.as_deref(),
            _ => None,
        }
    }

    /// How long the API asked to wait; at most an hour.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.cause.root() {
            Cause::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The failure of one exchange.
#[cfg_attr(
    not(feature = "client"),
    expect(dead_code, reason = "only the client meets most of these")
)]
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Cause {
    #[error("{0}")]
    Invalid(&'static str),
    #[error("no access token: {0}")]
    Token(Arc<Cause>),
    #[error("no connection to the API: {0}")]
    Connect(String),
    #[error("no complete answer within the time-out")]
    Timeout,
    #[error("the connection to the API broke: {0}")]
    Network(String),
    #[error("HTTP {status}, and the answer is larger than {limit} bytes")]
    TooLarge { status: u16, limit: usize },
    #[error("HTTP {status}, but the answer is not usable: {why}")]
    Malformed {
        status: u16,
        why: String,
        /// The body is a page for people.
        is_page: bool,
    },
    #[error("the API took the call (HTTP {status}) and does not say what came of it: {why}")]
    Accepted { status: u16, why: String },
    #[error("HTTP {status}{}{}", location.as_ref().map(|l| format!(", to {l}")).unwrap_or_default(), if *is_foreign { FOREIGN.to_owned() } else { message.as_ref().map(|m| format!(": {m}")).unwrap_or_default() })]
    Status {
        status: u16,
        message: Option<String>,
        retry_after: Option<Duration>,
        /// Where a redirect leads. It is not followed.
        location: Option<String>,
        /// The answer is not the API's.
        is_foreign: bool,
    },
}

/// Where tokens and the list of instances are.
pub(super) const TOKEN_PATH: &str = "/oauth2/token";
pub(super) const LIST_PATH: &str = "/instances/";

const FOREIGN: &str = ": something in front of the API answered, such as a proxy";

impl Cause {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::TooLarge { status, .. }
            | Self::Malformed { status, .. }
            | Self::Accepted { status, .. }
            | Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the API answered 401 to the call itself.
    #[cfg(feature = "client")]
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Status { status: 401, .. })
    }

    #[cfg(feature = "client")]
    pub(super) fn outcome(&self) -> CallOutcome {
        match self {
            Self::Invalid(_) => CallOutcome::Error("invalid"),
            Self::Token(cause) => cause.outcome(),
            Self::Connect(_) => CallOutcome::Error("connect"),
            Self::Timeout => CallOutcome::Error("timeout"),
            Self::Network(_) => CallOutcome::Error("network"),
            Self::TooLarge { .. } => CallOutcome::Error("too_large"),
            Self::Malformed { .. } => CallOutcome::Error("malformed"),
            Self::Accepted { status, .. } | Self::Status { status, .. } => {
                CallOutcome::Status(*status)
            }
        }
    }

    fn is_foreign(&self) -> bool {
        matches!(
            self,
            Self::Status {
                is_foreign: true,
                ..
            }
        )
    }

    fn root(&self) -> &Self {
        match self {
            Self::Token(cause) => cause,
            other => other,
        }
    }
}

/// The class of a failure, and whether the call was certainly refused.
fn classify(call: Call, cause: &Cause) -> (RetryClass, bool) {
    let uncertain = if call.starts_billing() {
        RetryClass::Ambiguous
    } else {
        RetryClass::Transient
    };
    match cause {
        Cause::Invalid(_) => (RetryClass::Terminal, true),
        Cause::Token(cause) => (token_class(cause), true),
        Cause::Connect(_) => (RetryClass::Transient, true),
        Cause::Status { status, .. } if cause.is_foreign() => match status {
            // It did not let the call through.
            400 | 403 | 404 | 422 if call.starts_billing() => (RetryClass::Terminal, true),
            400 | 401 | 403 | 404 | 422 | 429 => (RetryClass::Transient, true),
            _ => (uncertain, false),
        },
        Cause::Status { status, .. } => match status {
            400 | 403 if call == Call::Token => (RetryClass::Auth, true),
            404 | 422 if call == Call::Token => (RetryClass::Transient, true),
            400 | 403 | 404 | 422 => (RetryClass::Terminal, true),
            401 => (RetryClass::Auth, true),
            429 => (RetryClass::Transient, true),
            _ => (uncertain, false),
        },
        Cause::Timeout
        | Cause::Network(_)
        | Cause::TooLarge { .. }
        | Cause::Malformed { .. }
        | Cause::Accepted { .. } => (uncertain, false),
    }
}

fn token_class(cause: &Cause) -> RetryClass {
    match cause {
        Cause::Status {
            status: 400 | 401 | 403,
            is_foreign: false,
            ..
        } => RetryClass::Auth,
        _ => RetryClass::Transient,
    }
}

/// Errors as they come from the API, for tests of what is built on this.
impl Error {
    /// The error of a call that was not answered in time.
    pub fn unanswered(call: Call) -> Self {
        Self::new(call, Cause::Timeout)
    }
}
