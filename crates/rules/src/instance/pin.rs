//! The arguments that a start asks for: the spec's, with every default taken from the catalog.

use std::time::Duration;

use cortecs_api::types::{InstanceArgs, Model};
use cortecs_resources::{
    conditions::{READY, RECONCILING, find_condition},
    instance_status::Phase,
    reason::Reason,
};

use crate::{
    facts::{
        args,
        capacity::{self, Capacity},
        defaults,
    },
    instance::{
        budget,
        draft::Draft,
        input::{CatalogProblem, Desired},
        limit,
        step::ApiCall,
        verdict::Verdict,
    },
};

/// Why no arguments can be given to a start yet.
pub(crate) enum NotPinned {
    /// The catalog has to be asked first.
    Fetch(ApiCall),
    /// The verdict, and when to look again.
    Because(Verdict, Duration),
}

/// How long to wait before the catalog is asked again about what it refused.
const CATALOG_RETRY: Duration = Duration::from_secs(600);
/// How long to wait before looking again at what the account does not permit.
const LIMIT_RETRY: Duration = Duration::from_secs(60);
/// How long to wait before the catalog is asked again after a failure.
const CATALOG_BACKOFF: Duration = Duration::from_secs(5);

/// The spec's arguments with every default resolved. The catalog is always asked: it says under which id the API shows the
/// model. Where it fails and the spec leaves nothing open, the API decides: see [`is_unsure`].
pub(crate) fn pinned(draft: &Draft<'_>) -> Result<InstanceArgs, NotPinned> {
    let args = defaults::available(choices(draft)?, &Capacity::Unknown, None);
    args.map_err(|ids| no_capacity(draft, &ids))
}

/// Whether a start with these arguments is what the spec asks for, on any of its hardware.
pub(crate) fn permits(draft: &Draft<'_>, args: &InstanceArgs) -> bool {
    choices(draft).is_ok_and(|choices| choices.contains(args))
}

/// The same with the first hardware of the spec that is available. The API is asked for that right before a start. `own`: the hardware of an
/// instance of the resource that is removed before the start.
pub(crate) fn pinned_now(draft: &Draft<'_>, own: Option<&str>) -> Result<InstanceArgs, NotPinned> {
    let capacity = draft.input.capacity;
    let args = defaults::available(choices(draft)?, capacity, own);
    let args = args.map_err(|ids| no_capacity(draft, &ids))?;
    match capacity {
        Capacity::NotAsked if args.hardware_type_id.as_deref() != own => {
            Err(NotPinned::Fetch(ApiCall::FetchCapacity))
        }
        _ => Ok(args),
    }
}

/// The arguments on each hardware of the spec that the account permits, the preferred one first; at least one.
fn choices(draft: &Draft<'_>) -> Result<Vec<InstanceArgs>, NotPinned> {
    let expires = draft.spec().expire_time.as_ref();
    if expires.is_some_and(|at| at.timestamp().is_none()) {
        return Err(invalid(
            "spec.expireTime cannot be read: write a time such as 2030-01-01T00:00:00Z",
        ));
    }
    let choices = defaults::choices(draft.spec(), model(draft)?);
    let mut choices = choices.map_err(|message| invalid(&message))?;
    let Desired::Usable(account) = &draft.input.account.desired else {
        return Ok(choices);
    };
    // What is taken over is billed already.
    let starts = draft.spec().adopt.is_none();
    let permit = |args: &InstanceArgs| {
        limit::check(account, args)?;
        match starts {
            true => budget::permits(draft, account, args),
            false => Ok(()),
        }
    };
    let refused = choices.first().and_then(|first| permit(first).err());
    choices.retain(|args| permit(args).is_ok());
    match refused.filter(|_| choices.is_empty()) {
        Some(verdict) => Err(NotPinned::Because(verdict, LIMIT_RETRY)),
        None => Ok(choices),
    }
}

/// Whether an instance can be restarted on its hardware now.
pub(crate) fn can_restart(draft: &Draft<'_>) -> Result<(), NotPinned> {
    let args = draft.status.instance_args.as_ref();
    let hardware = args.and_then(|args| args.hardware_type_id.clone());
    match (draft.input.capacity, hardware) {
        (Capacity::NotAsked, _) => Err(NotPinned::Fetch(ApiCall::FetchCapacity)),
        (capacity, Some(id)) if capacity.lacks(&id) => Err(no_capacity(draft, &[id])),
        _ => Ok(()),
    }
}

/// The catalog's answer about the model; `None` where the API decides.
fn model<'a>(draft: &Draft<'a>) -> Result<Option<&'a Model>, NotPinned> {
    match draft.input.model {
        Some(Ok(model)) => Ok(Some(&**model)),
        Some(Err(problem)) if !problem.terminal && !defaults::needs_catalog(draft.spec()) => {
            Ok(None)
        }
        None | Some(Err(_)) => known_to_catalog(draft).map(|()| None),
    }
}

fn no_capacity(draft: &Draft<'_>, ids: &[String]) -> NotPinned {
    let message = format!(
        "none of this hardware is available at the moment: {}. The API is asked again from time to time",
        ids.join(", ")
    );
    let reason = Reason::WaitingForCapacity;
    let waits = find_condition(&draft.status.conditions, READY);
    let waits = waits.filter(|c| Reason::of(c) == Some(reason));
    let reconciling = find_condition(&draft.status.conditions, RECONCILING);
    let since = waits.and(reconciling).map(|c| c.last_transition_time.0);
    NotPinned::Because(
        Verdict::reconciling(draft.idle_phase(), reason, message),
        capacity::pause(since, draft.input.wall),
    )
}

/// Whether the catalog has not said under which id the API shows the model.
pub(crate) fn is_unsure(draft: &Draft<'_>) -> bool {
    !matches!(draft.input.model, Some(Ok(_)))
}

/// Whether the catalog knows the model.
pub(crate) fn known_to_catalog(draft: &Draft<'_>) -> Result<(), NotPinned> {
    match draft.input.model {
        Some(Ok(_)) => Ok(()),
        None => Err(NotPinned::Fetch(ApiCall::FetchModel {
            model_id: args::normalise_model_id(&draft.spec().model_id),
        })),
        Some(Err(problem)) if problem.terminal => Err(invalid(&unknown(draft, problem))),
        Some(Err(problem)) => {
            let verdict =
                Verdict::reconciling(Phase::Pending, Reason::RetryingAfterError, &problem.message);
            Err(NotPinned::Because(verdict, CATALOG_BACKOFF))
        }
    }
}

fn unknown(draft: &Draft<'_>, problem: &CatalogProblem) -> String {
    let meant = match problem.nearest.as_slice() {
        [] => "no model has a name like it; `kubectl get cortecsmodels` lists them where the catalog is kept".to_owned(),
        names => format!("did you mean {}?", names.join(" or ")),
    };
    format!(
        "the catalog has no model {}: correct spec.modelId; {meant} ({})",
        draft.spec().model_id,
        problem.message
    )
}

fn invalid(message: &str) -> NotPinned {
    let verdict = Verdict::stalled(Phase::Failed, Reason::InvalidArguments, message);
    NotPinned::Because(verdict, CATALOG_RETRY)
}
