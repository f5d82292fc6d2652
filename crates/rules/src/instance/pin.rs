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
        defaults::{self, Unfit},
    },
    instance::{draft::Draft, input::CatalogProblem, step::ApiCall, verdict::Verdict},
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
/// How long to wait before the catalog is asked again after a failure.
const CATALOG_BACKOFF: Duration = Duration::from_secs(5);

/// The spec's arguments with every default resolved. The catalog is always asked: it says under which id the API shows the
/// model. Where it fails and the spec leaves nothing open, the API decides: see [`is_unsure`].
pub(crate) fn pinned(draft: &Draft<'_>) -> Result<InstanceArgs, NotPinned> {
    defaults::pin(draft.spec(), model(draft)?).map_err(|unfit| why(draft, unfit))
}

/// Whether a start with these arguments is what the spec asks for, on any of its hardware.
pub(crate) fn permits(draft: &Draft<'_>, args: &InstanceArgs) -> bool {
    let choices = model(draft).map(|model| defaults::choices(draft.spec(), model));
    choices.is_ok_and(|choices| choices.is_ok_and(|choices| choices.contains(args)))
}

/// The same with the first hardware of the spec that is available. The API is asked for that right before a start. `own`: the hardware of an
/// instance of the resource that is removed before the start.
pub(crate) fn pinned_now(draft: &Draft<'_>, own: Option<&str>) -> Result<InstanceArgs, NotPinned> {
    let (spec, capacity) = (draft.spec(), draft.input.capacity);
    let model = model(draft)?;
    let args = defaults::pin_available(spec, model, capacity, own);
    let args = args.map_err(|unfit| why(draft, unfit))?;
    match capacity {
        Capacity::NotAsked if args.hardware_type_id.as_deref() != own => {
            Err(NotPinned::Fetch(ApiCall::FetchCapacity))
        }
        _ => Ok(args),
    }
}

/// Whether an instance can be restarted on its hardware now.
pub(crate) fn can_restart(draft: &Draft<'_>) -> Result<(), NotPinned> {
    let args = draft.status.instance_args.as_ref();
    let hardware = args.and_then(|args| args.hardware_type_id.clone());
    match (draft.input.capacity, hardware) {
        (Capacity::NotAsked, _) => Err(NotPinned::Fetch(ApiCall::FetchCapacity)),
        (capacity, Some(id)) if capacity.lacks(&id) => Err(why(draft, Unfit::NoCapacity(vec![id]))),
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

fn why(draft: &Draft<'_>, unfit: Unfit) -> NotPinned {
    let ids = match unfit {
        Unfit::Invalid(message) => return invalid(&message),
        Unfit::NoCapacity(ids) => ids,
    };
    let phase = match draft.status.instance_id {
        Some(_) => draft.phase(),
        None => Phase::Pending,
    };
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
        Verdict::reconciling(phase, reason, message),
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
        [] => "no model has a name like it".to_owned(),
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
