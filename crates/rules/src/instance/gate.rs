//! Whether a call may be made, and whether something may be started.
//!
//! Stops, deletes and the resolving of open calls need only the fleet. Starts, restarts and replacements also need the
//! account's consent: its mode, its namespaces, and that it is not being deleted.

use cortecs_resources::{account::AccountMode, instance_status::Phase, reason::Reason};
use jiff::SignedDuration;

use super::{
    draft::Draft,
    input::{Account, Desired},
    verdict::Verdict,
};
use crate::facts::{failure::FailureKind, patience};

/// Why no call can be made about the bound instance or the open start: it lives in another account than the one named, or
/// nothing can be reached there.
pub(crate) fn calls(draft: &Draft<'_>) -> Result<(), Verdict> {
    let view = &draft.input.account;
    if let Some(home) = draft.home() {
        let named = view.named.as_ref();
        let elsewhere = named
            .is_none_or(|named| (&named.namespace, &named.name) != (&home.namespace, &home.name));
        let now = match &view.desired {
            _ if elsewhere => named.map_or_else(
                || "no account".to_owned(),
                |named| format!("account {named}"),
            ),
            Desired::Usable(account) if account.identity != *home => format!(
                "client id {} at {}",
                account.identity.client_id, account.identity.api_url
            ),
            _ => return reachable(draft),
        };
        let message = format!(
            "the instance lives in account {}/{} (client id {} at {}), which is now {now}: change it back, or delete the \
             resource to remove the instance there",
            home.namespace, home.name, home.client_id, home.api_url,
        );
        return Err(Verdict::stalled(
            Phase::Failed,
            Reason::AccountChanged,
            message,
        ));
    }
    reachable(draft)
}

/// Whether there are credentials that work for the fleet in which the instance lives.
pub(crate) fn reachable(draft: &Draft<'_>) -> Result<(), Verdict> {
    match &draft.input.account.fleet {
        None => Err(match &draft.input.account.desired {
            Desired::Unusable { reason, message } => unusable(draft, *reason, message),
            Desired::Pending(awaited) => waiting(draft.phase(), awaited),
            Desired::Usable(_) => {
                waiting(draft.phase(), "the account's instances are being listed")
            }
        }),
        Some(fleet) => match &fleet.problem {
            Some((FailureKind::Auth, message)) => Err(Verdict::stalled(
                Phase::Failed,
                Reason::CredentialsInvalid,
                message,
            )),
            _ => Ok(()),
        },
    }
}

/// The account to start in, or why nothing may be started.
pub(crate) fn starts<'a>(draft: &Draft<'a>) -> Result<&'a Account, Verdict> {
    if draft.input.settings.only_stops {
        let message = "nothing is started before the operator runs again";
        return Err(Verdict::reconciling(
            draft.phase(),
            Reason::Pending,
            message,
        ));
    }
    if draft.lacks_finalizer() {
        let message = "nothing is started before the finalizer can be added";
        return Err(Verdict::stalled(
            draft.phase(),
            Reason::WriteRefused,
            message,
        ));
    }
    let account = match &draft.input.account.desired {
        Desired::Pending(awaited) => return Err(waiting(draft.phase(), awaited)),
        Desired::Unusable { reason, message } => {
            return Err(unusable(draft, *reason, message));
        }
        Desired::Usable(account) => account,
    };
    let name = format!("{}/{}", account.identity.namespace, account.identity.name);
    if !account.allowed {
        let message = match account.selector_invalid {
            true => format!(
                "account {name} allows no namespace, as its spec.allowedNamespaces cannot be understood: its status says why"
            ),
            false => format!(
                "account {name} does not allow this namespace: see its spec.allowedNamespaces"
            ),
        };
        return Err(Verdict::stalled(
            Phase::Failed,
            Reason::AccountNotAllowed,
            message,
        ));
    }
    if account.deleting {
        return Err(Verdict::stalled(
            Phase::Failed,
            Reason::AccountNotFound,
            format!("account {name} is being deleted: nothing is started with it any more"),
        ));
    }
    let holder = account.mode_of.as_deref();
    let holder = holder.map_or_else(|| name.clone(), ToString::to_string);
    let mode = match account.mode {
        AccountMode::Active => None,
        AccountMode::Hold => Some(format!(
            "account {holder} has mode Hold: nothing is started until its spec.mode is Active"
        )),
        AccountMode::StopAll => Some(format!(
            "account {holder} has mode StopAll: what should run is started when its spec.mode is Active"
        )),
    };
    if let Some(why) = mode {
        return Err(Verdict::stalled(Phase::Failed, Reason::AccountHeld, why));
    }
    calls(draft)?;
    if let Some(why) = &account.wrong_url {
        let message = format!("account {name}: {why}");
        return Err(Verdict::stalled(
            Phase::Failed,
            Reason::ApiUrlInvalid,
            message,
        ));
    }
    if let Some(why) = draft.held() {
        return Err(Verdict::stalled(Phase::Failed, Reason::AccountHeld, why));
    }
    Ok(account)
}

/// The verdict while the account cannot be used. An account or a Secret that is not there is waited for: what is applied together
/// appears in any order, and GitOps tools give up on what is `Stalled`.
fn unusable(draft: &Draft<'_>, reason: Reason, message: &str) -> Verdict {
    let is_named = draft.input.account.named.is_some();
    let waits = match reason {
        Reason::AccountNotFound if is_named => Some(Reason::WaitingForAccount),
        Reason::SecretNotFound => Some(Reason::WaitingForSecret),
        _ => None,
    };
    match waits.filter(|_| !draft.is_deleting() && !is_overdue(draft, reason)) {
        Some(waits) => Verdict::reconciling(draft.phase(), waits, message),
        None => Verdict::stalled(Phase::Failed, reason, message),
    }
}

fn is_overdue(draft: &Draft<'_>, reason: Reason) -> bool {
    let deadline = SignedDuration::from_secs(draft.spec().progress_deadline_seconds.into());
    let conditions = &draft.status.conditions;
    patience::is_overdue(
        conditions,
        reason,
        draft.is_current(),
        deadline,
        draft.input.wall,
    )
}

fn waiting(phase: Phase, awaited: &str) -> Verdict {
    Verdict::reconciling(phase, Reason::WaitingForAccount, awaited)
}
