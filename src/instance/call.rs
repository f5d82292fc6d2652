//! The calls to the Cortecs API about one resource.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    context::Context,
    memory::{Failure, FailureKind, Memory, Outcome},
    record::{self, Answer, Times},
};
use crate::{
    account::{fleet::Fleet, key::ObjectKey},
    cortecs::{
        Call, Client, Error, RetryClass,
        types::{Instance, InstanceArgs},
    },
    runtime::{backoff::Backoff, clock, metrics::StartOutcome},
};

/// How soon something that was refused for good is tried again all the same: capacity and catalogs change.
const TERMINAL_RETRY: Duration = Duration::from_secs(600);
/// How soon a call is tried again with the same credentials; a change of the Secret comes first.
const AUTH_RETRY: Duration = Duration::from_secs(60);
/// How soon a call is tried again whose token was refused.
const TOKEN_RETRY: Duration = Duration::from_secs(1);
/// How soon an instance that was not in the state for a delete is tried again, at the latest.
const MOVED_RETRY: Duration = Duration::from_secs(5);

/// A resource that calls are made for.
pub struct Caller<'a> {
    pub context: &'a Context,
    pub fleet: &'a Fleet,
    pub key: &'a ObjectKey,
    pub generation: i64,
    /// `namespace/name` of the account, for the metrics.
    pub account: &'a str,
}

impl Caller<'_> {
    /// The one call of a start intent.
    pub async fn start(&self, intent: Uuid, args: &InstanceArgs) {
        let call = async |client: Client| client.start_instance(args).await;
        let Some((result, _)) = self.made("start", call).await else {
            return self.remember(record::call_not_made);
        };
        let outcome = self.outcome(&result);
        let word = match &outcome {
            Outcome::Accepted(_) => StartOutcome::Accepted,
            Outcome::Refused(_) => StartOutcome::Refused,
            _ => StartOutcome::Unknown,
        };
        self.context.metrics.start(self.account, word);
        self.remember(|memory| record::started(memory, intent, outcome));
        self.fleet.request_list();
    }

    /// The one call of a restart intent.
    pub async fn restart(&self, intent: Uuid, id: &str) {
        let call = async |client: Client| client.restart_instance(id).await;
        let Some((result, times)) = self.made("restart", call).await else {
            return self.remember(record::call_not_made);
        };
        let outcome = self.outcome(&result);
        self.remember(|memory| record::restarted(memory, intent, id, outcome, times));
        self.fleet.request_list();
    }

    pub async fn stop(&self, id: &str) {
        let call = async |client: Client| client.stop_instance(id).await;
        if let Some((result, times)) = self.made("stop", call).await {
            let answer = self.answer(result);
            self.remember(|memory| record::stopped(memory, id, answer, times));
            self.fleet.request_list();
        }
    }

    pub async fn delete(&self, id: &str) {
        let call = async |client: Client| client.delete_instance(id).await;
        if let Some((result, _)) = self.made("delete", call).await {
            let answer = self.answer(result);
            self.remember(|memory| record::deleted(memory, id, answer));
            self.fleet.request_list();
        }
    }

    pub async fn get(&self, id: &str) {
        let call = async |client: Client| client.get_instance(id).await;
        if let Some((result, times)) = self.made("get", call).await {
            let answer = self.answer(result);
            self.remember(|memory| record::got(memory, id, answer, times));
        }
    }

    /// Makes a call if the lease is still held when a token is at hand: fetching one takes its time. `None`: it was not made.
    async fn made<T>(
        &self,
        what: &'static str,
        call: impl AsyncFnOnce(Client) -> Result<T, Error>,
    ) -> Option<(Result<T, Error>, Times)> {
        let client = self.fleet.client().clone();
        let token = client.verify_credentials().await;
        let asked = clock::moment();
        let result = match token {
            Err(error) => Err(error),
            Ok(()) if !self.context.leadership.may_act() => return None,
            Ok(()) => {
                let result = call(client).await;
                self.context.effect_happened(what).await;
                result
            }
        };
        match &result {
            Ok(_) => tracing::info!(call = what, "the API accepted the call"),
            Err(error) => tracing::warn!(call = what, %error, "the call failed"),
        }
        let answered = clock::moment();
        Some((result, Times { asked, answered }))
    }

    fn remember(&self, change: impl FnOnce(&mut Memory)) {
        self.context.book.lock().remember(self.key, change);
    }

    /// The outcome of a call that must not be repeated unless it certainly had no effect.
    fn outcome(&self, result: &Result<Instance, Error>) -> Outcome {
        match result {
            Ok(instance) => Outcome::Accepted(Arc::new(instance.clone())),
            Err(error) if error.refused() => Outcome::Refused(self.failure(error)),
            Err(_) => Outcome::Unknown(clock::moment()),
        }
    }

    fn answer<T>(&self, result: Result<T, Error>) -> Answer<T> {
        let error = match result {
            Ok(value) => return Answer::Done(value),
            Err(error) => error,
        };
        let mut failure = self.failure(&error);
        if matches!(error.status(), Some(400 | 404)) && error.class() == RetryClass::Terminal {
            // Its state moved, or it is gone: nothing that needs a person.
            failure.kind = FailureKind::Transient;
            failure.reason = "RetryingAfterError";
            failure.retry_at = clock::moment().after(MOVED_RETRY);
            return Answer::Moved(failure);
        }
        Answer::Failed(failure)
    }

    fn failure(&self, error: &Error) -> Failure {
        let before = self.context.book.lock().get(self.key).and_then(|entry| {
            let failure = entry.memory.failure.as_ref()?;
            Some(failure.count)
        });
        let mut backoff = Backoff::after(before.unwrap_or_default());
        let jittered = backoff.next(fastrand::f64(), error.retry_after());
        let (kind, wait) = match error.class() {
            // The client has forgotten the token that was refused: only a second refusal speaks of the credentials.
            RetryClass::Auth if error.call() != Call::Token && backoff.failures() == 1 => {
                (FailureKind::Transient, TOKEN_RETRY)
            }
            RetryClass::Auth => (FailureKind::Auth, AUTH_RETRY),
            RetryClass::Terminal => (FailureKind::Terminal, TERMINAL_RETRY),
            RetryClass::Transient | RetryClass::Ambiguous => (FailureKind::Transient, jittered),
        };
        let now = clock::moment();
        Failure {
            kind,
            reason: reason(kind, error),
            message: error.to_string(),
            generation: self.generation,
            failed_at: now,
            retry_at: now.after(wait),
            count: backoff.failures(),
        }
    }
}

/// The condition's reason for a failed call.
fn reason(kind: FailureKind, error: &Error) -> &'static str {
    match (kind, error.call(), error.status()) {
        (FailureKind::Transient, ..) => "RetryingAfterError",
        (FailureKind::Auth, ..) => "CredentialsInvalid",
        (FailureKind::Terminal, _, Some(403)) => "Forbidden",
        (FailureKind::Terminal, Call::StartInstance, _) => "InvalidArguments",
        (FailureKind::Terminal, ..) => "CallRefused",
    }
}
