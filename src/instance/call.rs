//! The calls to the Cortecs API about one resource.

use std::time::Duration;

use cortecs_api::{Call, Client, Error, RetryClass, types::InstanceArgs};
use cortecs_clock as clock;
use cortecs_clock::{Backoff, Moment};
use cortecs_resources::{key::ObjectKey, reason::Reason};
use cortecs_rules::{
    facts::{
        attempt::Outcome,
        defaults,
        failure::{Failure, FailureKind},
        memory::Memory,
    },
    instance::{
        record::{self, Ended, Times},
        step::ApiCall,
    },
};
use tracing::Instrument;
use uuid::Uuid;

use super::context::Context;
use crate::{fleet::poll::Fleet, serve::metrics::StartOutcome};

/// The pause after a permanent refusal: the capacity or the catalog may have changed by then.
const TERMINAL_RETRY: Duration = Duration::from_secs(600);
/// The pause after a refusal of the credentials; a change of the Secret ends it earlier.
const AUTH_RETRY: Duration = Duration::from_secs(60);
/// The pause after a refusal of the token.
const TOKEN_RETRY: Duration = Duration::from_secs(1);

/// Makes the calls of one resource.
pub struct Caller<'a> {
    pub context: &'a Context,
    pub fleet: &'a Fleet,
    pub key: &'a ObjectKey,
    pub generation: i64,
    /// `namespace/name` of the account, for the metrics.
    pub account: &'a str,
}

impl Caller<'_> {
    /// Makes the call and records its outcome.
    pub async fn make(&self, call: ApiCall) {
        let stops = matches!(call, ApiCall::Stop { .. } | ApiCall::Get { .. });
        if self.context.settings.only_stops && !stops {
            tracing::error!(
                ?call,
                "this process only makes overdue stops, so the call is not made"
            );
            return;
        }
        match call {
            ApiCall::FetchModel { model_id } => self.fetch_model(&model_id).await,
            ApiCall::FetchCapacity => self.fetch_capacity().await,
            ApiCall::Start {
                intent,
                args,
                before,
            } => self.start(intent, &args, before).await,
            ApiCall::Restart {
                intent,
                instance_id,
                before,
            } => self.restart(intent, &instance_id, before).await,
            ApiCall::Stop { instance_id } => self.stop(&instance_id).await,
            ApiCall::Delete { instance_id } => self.delete(&instance_id).await,
            ApiCall::Get { instance_id } => self.get(&instance_id).await,
        }
    }

    /// Fetches the model into the catalog's cache, for the next decision.
    async fn fetch_model(&self, model_id: &str) {
        let Self { context, fleet, .. } = self;
        let url = &fleet.key().api_url;
        let record = |result: &_| fleet.turns().record_call(result);
        let _ = context
            .catalog
            .model(fleet.client(), url, model_id, record)
            .await;
        context.effect_happened("ask the catalog").await;
    }

    /// Asks which hardware is available, for the next decision.
    async fn fetch_capacity(&self) {
        let Self { context, fleet, .. } = self;
        let url = &fleet.key().api_url;
        let record = |result: &_| fleet.turns().record_call(result);
        let free = &context.free_hardware;
        free.ask(fleet.client(), url, record).await;
        context.effect_happened("ask for free hardware").await;
    }

    /// Asks anew which hardware is available where that may explain a refusal on this hardware.
    async fn explain_refusal(&self, ended: &mut Ended, hardware: Option<&str>) {
        let Self { context, fleet, .. } = self;
        if let (Outcome::Refused(refusal), Some(hardware)) = (&mut ended.outcome, hardware)
            && refusal.kind == FailureKind::Terminal
        {
            let url = &fleet.key().api_url;
            let record = |result: &_| fleet.turns().record_call(result);
            let free = &context.free_hardware;
            let capacity = free.ask_again(fleet.client(), url, record).await;
            capacity.explain(refusal, hardware);
        }
    }

    /// The hardware of the bound instance.
    fn hardware(&self) -> Option<String> {
        let book = self.context.book.lock();
        let status = book.get(self.key)?.resource.status.as_ref()?;
        status.instance_args.as_ref()?.hardware_type_id.clone()
    }

    /// Makes the only call of a start intent.
    async fn start(&self, intent: Uuid, args: &InstanceArgs, before: Moment) {
        let call = async |client: Client| client.start_instance(args).await;
        let Some((result, _)) = self.call_if_allowed("start", Some(before), call).await else {
            return self.remember(record::call_not_made);
        };
        self.fleet.turns().record_payment(&result);
        let mut ended = record::outcome(result, clock::moment(), |e| self.failure(e));
        self.explain_refusal(&mut ended, args.hardware_type_id.as_deref())
            .await;
        if let Outcome::Refused(refusal) = &mut ended.outcome
            && let Some(entry) = self.context.book.lock().get(self.key)
        {
            defaults::explain(refusal, &entry.resource.spec, args);
        }
        let counted = match &ended.outcome {
            Outcome::Accepted(instance) => {
                tracing::info!(instanceId = instance.instance_id, "an instance was started");
                StartOutcome::Accepted
            }
            Outcome::Refused(_) => StartOutcome::Refused,
            _ => StartOutcome::Unknown,
        };
        self.context.metrics.start(self.account, counted);
        self.remember(|memory| record::started(memory, intent, ended));
        self.fleet.request_list_after(clock::moment());
    }

    /// Makes the only call of a restart intent.
    async fn restart(&self, intent: Uuid, id: &str, before: Moment) {
        let call = async |client: Client| client.restart_instance(id).await;
        let Some((result, times)) = self.call_if_allowed("restart", Some(before), call).await
        else {
            return self.remember(record::call_not_made);
        };
        self.fleet.turns().record_payment(&result);
        let mut ended = record::outcome(result, clock::moment(), |e| self.failure(e));
        self.explain_refusal(&mut ended, self.hardware().as_deref())
            .await;
        self.remember(|memory| record::restarted(memory, intent, id, ended, times));
        self.fleet.request_list_after(clock::moment());
    }

    async fn stop(&self, id: &str) {
        let call = async |client: Client| client.stop_instance(id).await;
        if let Some((result, times)) = self.call_if_allowed("stop", None, call).await {
            let answer = record::answer(result, |e| self.failure(e));
            self.remember(|memory| record::stopped(memory, id, answer, times));
            self.context.free_hardware.forget(&self.fleet.key().api_url);
            self.fleet.request_list_after(clock::moment());
        }
    }

    async fn delete(&self, id: &str) {
        let call = async |client: Client| client.delete_instance(id).await;
        if let Some((result, times)) = self.call_if_allowed("delete", None, call).await {
            let answer = record::answer(result, |e| self.failure(e));
            self.remember(|memory| record::deleted(memory, id, answer, times));
            self.fleet.request_list_after(clock::moment());
        }
    }

    async fn get(&self, id: &str) {
        let call = async |client: Client| client.get_instance(id).await;
        if let Some((result, times)) = self.call_if_allowed("get", None, call).await {
            let answer = record::answer(result, |e| self.failure(e));
            self.remember(|memory| record::got(memory, id, answer, times));
        }
    }

    /// Fetches a token, then makes the call unless `before` has passed, the calls of the fleet are paused, or this process may no
    /// longer act: the token may take long. `None`: the call was not made.
    async fn call_if_allowed<T>(
        &self,
        what: &'static str,
        before: Option<Moment>,
        call: impl AsyncFnOnce(Client) -> Result<T, Error>,
    ) -> Option<(Result<T, Error>, Times)> {
        let client = self.fleet.client().clone();
        let token = client.verify_credentials().await;
        let asked = clock::moment();
        let result = match token {
            Err(error) => Err(error),
            Ok(()) if before.is_some_and(|before| asked > before) => return None,
            Ok(()) if self.fleet.turns().are_paused() => return None,
            Ok(()) if !self.context.leadership.may_act() => return None,
            Ok(()) => {
                let span = tracing::error_span!("call", call = what);
                let result = call(client).instrument(span).await;
                self.context.effect_happened(what).await;
                result
            }
        };
        self.fleet.turns().record_call(&result);
        match &result {
            Ok(_) => tracing::info!(call = what, "the API accepted the call"),
            Err(error) if error.is_accepted() => {
                tracing::info!(call = what, %error, "the API accepted the call, and a list has to show what comes of it");
            }
            Err(error) => tracing::warn!(call = what, %error, "the call failed"),
        }
        let answered = clock::moment();
        Some((result, Times { asked, answered }))
    }

    fn remember(&self, change: impl FnOnce(&mut Memory)) {
        self.context.book.lock().remember(self.key, change);
    }

    fn failure(&self, error: &Error) -> Failure {
        let before = self.context.book.lock().get(self.key).and_then(|entry| {
            let failures = entry.memory.failure.as_ref().map(|f| f.count);
            let deletes = entry.memory.bound.as_ref().map(|b| b.refused_deletes);
            failures.max(deletes)
        });
        let mut backoff = Backoff::after(before.unwrap_or_default());
        let jittered = backoff.next(fastrand::f64(), error.retry_after());
        let (kind, wait) = match error.class() {
            // The client drops a refused token. Only the refusal of a fresh token means that the credentials are wrong.
            RetryClass::Auth if error.call() != Call::Token && backoff.failures() == 1 => {
                (FailureKind::Transient, TOKEN_RETRY)
            }
            RetryClass::Auth => (FailureKind::Auth, AUTH_RETRY),
            RetryClass::Terminal => (FailureKind::Terminal, TERMINAL_RETRY),
            RetryClass::Transient | RetryClass::Ambiguous => (FailureKind::Transient, jittered),
        };
        let now = clock::moment();
        let mut failure = Failure {
            kind,
            reason: reason(kind, error),
            message: error.to_string(),
            generation: self.generation,
            failed_at: now,
            retry_at: now.after(wait),
            count: backoff.failures(),
        };
        if record::is_moved(error) && error.call() != Call::StartInstance {
            as_state_changed(&mut failure);
        }
        failure
    }
}

/// Makes the failure a passing one: the instance changed its state or is gone, which the next list shows.
fn as_state_changed(failure: &mut Failure) {
    let jittered = Backoff::after(failure.count.saturating_sub(1)).next(fastrand::f64(), None);
    failure.kind = FailureKind::Transient;
    failure.reason = Reason::RetryingAfterError;
    failure.retry_at = failure.failed_at.after(jittered);
}

/// The reason of the condition after a failed call.
fn reason(kind: FailureKind, error: &Error) -> Reason {
    match (kind, error.call(), error.status()) {
        (FailureKind::Transient, ..) => Reason::RetryingAfterError,
        (FailureKind::Auth, ..) => Reason::CredentialsInvalid,
        (FailureKind::Terminal, _, Some(403)) => Reason::Forbidden,
        (FailureKind::Terminal, Call::StartInstance, _) => Reason::InvalidArguments,
        (FailureKind::Terminal, ..) => Reason::CallRefused,
    }
}
