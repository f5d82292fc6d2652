//! The arguments that a start asks for: the spec's, with every default taken from the catalog.

use std::time::Duration;

use cortecs_api::types::InstanceArgs;
use cortecs_resources::{instance_status::Phase, reason::Reason};

use crate::{
    facts::{args, defaults},
    instance::{draft::Draft, input::CatalogProblem, verdict::Verdict},
};

pub(crate) enum NotPinned {
    Fetch(String),
    Because(Verdict, Duration),
}

/// How long to wait before the catalog is asked again about what it refused.
const CATALOG_RETRY: Duration = Duration::from_secs(600);
/// How long to wait before the catalog is asked again after a failure.
const CATALOG_BACKOFF: Duration = Duration::from_secs(5);

/// The spec's arguments with every default resolved. The catalog is always asked: it says under which id the API shows the
/// model. Where it fails and the spec leaves nothing open, the API decides: see [`is_unsure`].
pub(crate) fn pinned(draft: &Draft<'_>) -> Result<InstanceArgs, NotPinned> {
    let spec = draft.spec();
    let model = match draft.input.model {
        Some(Ok(model)) => Some(&**model),
        Some(Err(problem)) if !problem.terminal && !defaults::needs_catalog(spec) => None,
        None | Some(Err(_)) => {
            known_to_catalog(draft)?;
            None
        }
    };
    defaults::pin(spec, model).map_err(|message| invalid(&message))
}

/// Whether the catalog has not said under which id the API shows the model.
pub(crate) fn is_unsure(draft: &Draft<'_>) -> bool {
    !matches!(draft.input.model, Some(Ok(_)))
}

/// Whether the catalog knows the model.
pub(crate) fn known_to_catalog(draft: &Draft<'_>) -> Result<(), NotPinned> {
    match draft.input.model {
        Some(Ok(_)) => Ok(()),
        None => Err(NotPinned::Fetch(args::normalise_model_id(
            &draft.spec().model_id,
        ))),
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
