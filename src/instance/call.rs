//! The calls to the Cortecs API about one resource, and what is remembered of their outcomes.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    context::Context,
    memory::{Attempt, Bound, Failure, FailureKind, Memory, Outcome},
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
        let Some(result) = self
            .made(|client| async move { client.start_instance(args).await })
            .await
        else {
            return self.not_made();
        };
        self.context.effect_happened("start").await;
        let outcome = self.attempt_outcome(&result);
        let word = match &outcome {
            Outcome::Accepted(_) => StartOutcome::Accepted,
            Outcome::Refused(_) => StartOutcome::Refused,
            _ => StartOutcome::Unknown,
        };
        self.context.metrics.start(self.account, word);
        log_attempt("start", &result);
        self.remember(|memory| {
            note_failure(memory, &outcome);
            settle(memory.start.as_mut(), intent, outcome);
        });
        self.fleet.request_list();
    }

    /// The one call of a restart intent.
    pub async fn restart(&self, intent: Uuid, instance_id: &str) {
        let asked = clock::moment();
        let Some(result) = self
            .made(|client| async move { client.restart_instance(instance_id).await })
            .await
        else {
            return self.not_made();
        };
        self.context.effect_happened("restart").await;
        let outcome = self.attempt_outcome(&result);
        log_attempt("restart", &result);
        self.remember(|memory| {
            note_failure(memory, &outcome);
            if let Some(bound) = bound(memory, instance_id) {
                bound.stop_answered = false;
                bound.called = Some(clock::moment());
                if let Outcome::Accepted(instance) = &outcome {
                    bound.direct = Some((asked, Arc::clone(instance)));
                }
            }
            settle(memory.restart.as_mut(), intent, outcome);
        });
        self.fleet.request_list();
    }

    pub async fn stop(&self, instance_id: &str) {
        let asked = clock::moment();
        let Some(result) = self
            .made(|client| async move { client.stop_instance(instance_id).await })
            .await
        else {
            return;
        };
        self.context.effect_happened("stop").await;
        log_attempt("stop", &result);
        let failure = self.failure_of(result.as_ref().err());
        self.remember(|memory| {
            let answered = result.is_ok() || is_refusal(result.as_ref().err());
            if answered {
                // A refusal means that its state moved: the next list, or the delete, will tell.
                memory.failure = None;
            } else {
                memory.failure = failure;
            }
            if let Some(bound) = bound(memory, instance_id) {
                bound.stop_answered |= answered;
                bound.called = Some(clock::moment());
                if let Ok(instance) = result {
                    bound.direct = Some((asked, Arc::new(instance)));
                }
            }
        });
        self.fleet.request_list();
    }

    pub async fn delete(&self, instance_id: &str) {
        let Some(result) = self
            .made(|client| async move { client.delete_instance(instance_id).await })
            .await
        else {
            return;
        };
        self.context.effect_happened("delete").await;
        log_attempt("delete", &result);
        let mut failure = self.failure_of(result.as_ref().err());
        if is_refusal(result.as_ref().err())
            && let Some(failure) = &mut failure
        {
            // Not stopped yet, or gone: neither needs a person.
            failure.kind = FailureKind::Transient;
            failure.reason = "RetryingAfterError";
            failure.retry_at = failure
                .retry_at
                .min(clock::moment().after(Duration::from_secs(5)));
        }
        self.remember(|memory| {
            memory.failure = failure;
            if let Some(bound) = bound(memory, instance_id) {
                bound.deleted = result.is_ok();
                bound.stop_answered = result.is_ok();
            }
        });
        self.fleet.request_list();
    }

    pub async fn get(&self, instance_id: &str) {
        let asked = clock::moment();
        let result = self.fleet.client().get_instance(instance_id).await;
        let failure = self.failure_of(result.as_ref().err());
        self.remember(|memory| {
            let refused = is_refusal(result.as_ref().err());
            memory.failure = if refused { None } else { failure };
            if let Some(bound) = bound(memory, instance_id) {
                bound.lookup_failed = refused;
                if let Ok(instance) = result {
                    // The list lags.
                    bound.absent_lists = 0;
                    bound.direct = Some((asked, Arc::new(instance)));
                }
            }
        });
    }

    /// Makes a call if the lease is still held when a token is at hand: fetching one takes its time. `None`: it was not made.
    async fn made<T, F: Future<Output = Result<T, Error>>>(
        &self,
        call: impl FnOnce(Client) -> F,
    ) -> Option<Result<T, Error>> {
        let client = self.fleet.client().clone();
        if let Err(error) = client.verify_credentials().await {
            return Some(Err(error));
        }
        if !self.context.leadership.may_act() {
            return None;
        }
        Some(call(client).await)
    }

    /// The call that was announced was not made, and may be made later.
    fn not_made(&self) {
        self.remember(|memory| {
            for attempt in [memory.start.as_mut(), memory.restart.as_mut()]
                .into_iter()
                .flatten()
            {
                if attempt.outcome == Outcome::InFlight {
                    attempt.outcome = Outcome::Written;
                }
            }
        });
    }

    fn remember(&self, change: impl FnOnce(&mut Memory)) {
        self.context.book.lock().remember(self.key, change);
    }

    fn attempt_outcome(&self, result: &Result<Instance, Error>) -> Outcome {
        match result {
            Ok(instance) => Outcome::Accepted(Arc::new(instance.clone())),
            Err(error) if error.refused() => match self.failure_of(Some(error)) {
                Some(failure) => Outcome::Refused(failure),
                None => Outcome::Unknown(clock::moment()),
            },
            Err(_) => Outcome::Unknown(clock::moment()),
        }
    }

    fn failure_of(&self, error: Option<&Error>) -> Option<Failure> {
        let error = error?;
        let before = self
            .context
            .book
            .lock()
            .get(self.key)
            .and_then(|entry| entry.memory.failure.as_ref().map(|f| f.count))
            .unwrap_or_default();
        let mut backoff = Backoff::after(before);
        let jittered = backoff.next(fastrand::f64(), error.retry_after());
        let (kind, wait) = match error.class() {
            RetryClass::Auth => (FailureKind::Auth, AUTH_RETRY),
            RetryClass::Terminal => (FailureKind::Terminal, TERMINAL_RETRY),
            RetryClass::Transient | RetryClass::Ambiguous => (FailureKind::Transient, jittered),
        };
        Some(Failure {
            kind,
            reason: reason(kind, error),
            message: error.to_string(),
            generation: self.generation,
            retry_at: clock::moment().after(wait),
            count: backoff.failures(),
        })
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

/// Whether the API said that the instance is not there, or not in the state that the call needs.
fn is_refusal(error: Option<&Error>) -> bool {
    error
        .is_some_and(|e| matches!(e.status(), Some(400 | 404)) && e.class() == RetryClass::Terminal)
}

fn note_failure(memory: &mut Memory, outcome: &Outcome) {
    memory.failure = match outcome {
        Outcome::Refused(failure) => Some(failure.clone()),
        _ => None,
    };
}

fn settle(attempt: Option<&mut Attempt>, intent: Uuid, outcome: Outcome) {
    if let Some(attempt) = attempt.filter(|attempt| attempt.id == intent) {
        attempt.outcome = outcome;
    }
}

fn bound<'a>(memory: &'a mut Memory, instance_id: &str) -> Option<&'a mut Bound> {
    memory
        .bound
        .as_mut()
        .filter(|bound| bound.id == instance_id)
}

fn log_attempt<T>(call: &'static str, result: &Result<T, Error>) {
    match result {
        Ok(_) => tracing::info!(call, "the API accepted the call"),
        Err(error) => tracing::warn!(call, %error, "the call failed"),
    }
}
