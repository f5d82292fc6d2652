//! The access token: one for all callers, fetched once at a time and renewed before it expires.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cortecs_clock::Moment;
use futures::{FutureExt, future::Shared};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    call::Call,
    config::Credentials,
    error::{Cause, TOKEN_PATH},
    grant::{self, Grant},
    http::{Request, Transport},
};

/// After a failed renewal of a token that still works.
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);

pub(super) type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;
type Fetched = Result<Arc<Token>, Arc<Cause>>;

/// An access token.
pub(super) struct Token {
    id: u64,
    pub(super) secret: SecretString,
    renew_from: Moment,
    unusable_from: Moment,
}

/// Hands out the current token. Fetches run in tasks of their own, so a caller that stops waiting stops no other caller.
#[derive(Clone)]
pub(super) struct Tokens {
    transport: Arc<Transport>,
    clock: Clock,
    state: Arc<Mutex<State>>,
}

struct State {
    credentials: Credentials,
    /// Counts the changes of the credentials: what was fetched with others is not used.
    epoch: u64,
    token: Option<Arc<Token>>,
    fetch: Option<Fetch>,
    fetches: u64,
    no_renewal_before: Moment,
}

#[derive(Clone)]
struct Fetch {
    id: u64,
    result: Shared<oneshot::Receiver<Fetched>>,
}

impl Tokens {
    pub(super) fn new(transport: Arc<Transport>, credentials: Credentials, clock: Clock) -> Self {
        let state = State {
            credentials,
            epoch: 0,
            token: None,
            fetch: None,
            fetches: 0,
            no_renewal_before: Moment::default(),
        };
        Self {
            transport,
            clock,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A token that is valid for some time yet. Waits for a fetch only if there is none; all callers that wait share the fetch's outcome.
    pub(super) async fn get(&self) -> Fetched {
        loop {
            let (epoch, fetch) = {
                let mut state = self.lock();
                let now = (self.clock)();
                if let Some(token) = &state.token
                    && now < token.unusable_from
                {
                    let token = Arc::clone(token);
                    if now >= token.renew_from && now >= state.no_renewal_before {
                        self.join_fetch(&mut state);
                    }
                    return Ok(token);
                }
                (state.epoch, self.join_fetch(&mut state))
            };
            let result = fetch.result.await;
            let mut state = self.lock();
            if state.epoch != epoch {
                continue;
            }
            return result.unwrap_or_else(|_| {
                // Its runtime ended before it did.
                if state.fetch.as_ref().is_some_and(|held| held.id == fetch.id) {
                    state.fetch = None;
                }
                Err(Arc::new(Cause::Network("the fetch was aborted".to_owned())))
            });
        }
    }

    /// Forgets exactly this token; a newer one stays.
    pub(super) fn forget(&self, token: &Token) {
        let mut state = self.lock();
        if state.token.as_ref().is_some_and(|held| held.id == token.id) {
            state.token = None;
        }
    }

    /// All that no text may show: the client secret and the token that is held.
    pub(super) fn secrets(&self) -> Vec<SecretString> {
        let state = self.lock();
        let token = state.token.iter().map(|token| token.secret.clone());
        token
            .chain([state.credentials.client_secret.clone()])
            .collect()
    }

    pub(super) fn credentials(&self) -> Credentials {
        self.lock().credentials.clone()
    }

    pub(super) fn set_credentials(&self, credentials: Credentials) {
        let mut state = self.lock();
        state.credentials = credentials;
        state.epoch += 1;
        state.token = None;
        state.fetch = None;
        state.no_renewal_before = Moment::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete before anything in it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join_fetch(&self, state: &mut State) -> Fetch {
        if let Some(fetch) = &state.fetch {
            return fetch.clone();
        }
        state.fetches += 1;
        let (sender, receiver) = oneshot::channel();
        let fetch = Fetch {
            id: state.fetches,
            result: receiver.shared(),
        };
        state.fetch = Some(fetch.clone());
        let (id, epoch, credentials) = (fetch.id, state.epoch, state.credentials.clone());
        let tokens = self.clone();
        tokio::spawn(async move {
            let since = (tokens.clock)();
            let mut secrets = tokens.secrets();
            secrets.push(credentials.client_secret.clone());
            let fetched = match request_token(&tokens.transport, &credentials, &secrets).await {
                Ok(answer) => Ok(Arc::new(answer.held(id, since))),
                Err(cause) => Err(Arc::new(cause)),
            };
            tokens.settle(epoch, &fetched);
            // Perhaps no caller waits any more: the state keeps the outcome.
            let _ = sender.send(fetched);
        });
        fetch
    }

    fn settle(&self, epoch: u64, fetched: &Fetched) {
        let mut state = self.lock();
        if state.epoch != epoch {
            return;
        }
        state.fetch = None;
        match fetched {
            Ok(token) => state.token = Some(Arc::clone(token)),
            Err(_) => state.no_renewal_before = (self.clock)().after(RENEWAL_PAUSE),
        }
    }
}

impl Grant {
    /// Counts from before the request was sent: the API started counting later, so the token outlives what is assumed.
    fn held(self, id: u64, since: Moment) -> Token {
        let lifetime = self.lifetime;
        let renew_ahead = (lifetime / 10)
            .max(Duration::from_secs(60))
            .min(lifetime / 2);
        let drop_ahead = (lifetime / 4).min(Duration::from_secs(5));
        Token {
            id,
            secret: SecretString::from(self.access_token),
            renew_from: since.after(lifetime - renew_ahead),
            unusable_from: since.after(lifetime - drop_ahead),
        }
    }
}

async fn request_token(
    transport: &Transport,
    credentials: &Credentials,
    secrets: &[SecretString],
) -> Result<Grant, Cause> {
    #[derive(Serialize)]
    struct Body<'a> {
        grant_type: &'static str,
        client_id: &'a str,
        client_secret: &'a str,
    }
    let body = Body {
        grant_type: "client_credentials",
        client_id: &credentials.client_id,
        client_secret: credentials.client_secret.expose_secret(),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|_| Cause::Invalid("the credentials cannot be written as JSON"))?;
    let request = Request {
        call: Call::Token,
        method: Method::POST,
        path: TOKEN_PATH.to_owned(),
        body: Some(body),
    };
    transport
        .exchange(request, None, secrets, grant::parse)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(seconds: &str) -> (f64, f64) {
        let body =
            format!(r#"{{"access_token":"t","token_type":"bearer","expires_in":{seconds}}}"#);
        let token = grant::parse(body.as_bytes())
            .unwrap()
            .held(1, Moment::from_boot(Duration::ZERO));
        let seconds = |moment: Moment| moment.since_boot().as_secs_f64();
        (seconds(token.renew_from), seconds(token.unusable_from))
    }

    #[test]
    fn a_token_is_renewed_a_minute_or_a_tenth_ahead() {
        assert_eq!(lives("3600"), (3240.0, 3595.0));
        assert_eq!(lives("300"), (240.0, 295.0));
        assert_eq!(lives("60"), (30.0, 55.0));
        assert_eq!(lives("2"), (1.0, 1.5));
        assert_eq!(lives("0"), (0.0, 0.0));
        assert_eq!(lives("-7"), (0.0, 0.0));
        assert_eq!(lives("1e300"), lives("86400"));
        assert_eq!(lives("null"), lives("300"));
    }

    #[test]
    fn a_lifetime_in_text_counts_and_one_that_is_none_takes_nothing_from_the_token() {
        for hour in [r#""3600""#, r#"" 3600 ""#, "3600.0", "3.6e3", r#""3600.0""#] {
            assert_eq!(lives(hour), lives("3600"), "{hour}");
        }
        for nonsense in [
            r#""soon""#,
            r#""""#,
            r#""NaN""#,
            "[]",
            r#"{"seconds":9}"#,
            "true",
        ] {
            assert_eq!(lives(nonsense), lives("300"), "{nonsense}");
        }
        for kind in [r#""Bearer""#, r#"" bearer ""#, "null", "7", r#""""#] {
            let body = format!(r#"{{"access_token":"t","token_type":{kind}}}"#);
            assert!(grant::parse(body.as_bytes()).is_ok(), "{kind}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_quoted() {
        for body in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":null}"#,
            r#"{"access_token":{"hunter2":1}}"#,
            r#""hunter2""#,
            r#"{"access_token":"hunter2\r\nX-Evil: 1"}"#,
            r#"{"access_token":"hunter2 "}"#,
            r#"{"access_token":"hunter2","token_type":"mac"}"#,
        ] {
            let why = grant::parse(body.as_bytes())
                .err()
                .unwrap_or_else(|| panic!("{body}"));
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}
