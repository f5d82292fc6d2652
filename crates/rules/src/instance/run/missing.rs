//! Lists lack the bound instance: whether it is gone, and what follows from that.

use cortecs_resources::reason::Reason;

use crate::{
    facts::bound::Bound,
    instance::{
        draft::Draft,
        step::{ApiCall, Decision, Purpose},
        verdict::Verdict,
    },
};

use super::{
    drift::{drift_accepted, drift_is_accepted},
    gone::{self, Gone},
};

/// The last list lacks the instance, or there is no list yet.
pub(crate) fn missing(mut draft: Draft<'_>, bound: &Bound) -> Decision {
    let id = &bound.id;
    let verdict = Verdict::reconciling(
        draft.phase(),
        Reason::InstanceMissing,
        format!("the account's list lacks instance {id}: making sure that it is gone"),
    );
    if draft.spec().suspend && bound.absent_lists > 0 {
        return draft.rest(
            Verdict::suspended("its instance is not listed any more"),
            None,
        );
    }
    match gone::check(&draft, bound) {
        // No list was seen yet: what was true stays shown.
        Gone::No => {
            draft.needs_list(bound.first_seen);
            draft.is_busy();
            if draft.is_current() {
                return draft.unchanged(None);
            }
            let awaited =
                Verdict::reconciling(draft.phase(), Reason::Pending, draft.list_awaited());
            draft.await_list(bound.first_seen, awaited, None)
        }
        // The next list comes at the active interval: where lists lack for long what gets find, more lists would not help.
        Gone::NeedsList => draft.rest(verdict, None),
        Gone::Held => {
            let verdict = draft.missing_while_held(id);
            draft.rest(verdict, None)
        }
        Gone::Settling(wait) => draft.rest(verdict, Some(wait)),
        Gone::NeedsGet => {
            let call = ApiCall::Get {
                instance_id: id.clone(),
            };
            draft.call(call, verdict)
        }
        Gone::Yes => unbind(draft, "the instance is gone from the account"),
    }
}

pub(crate) fn unbind(mut draft: Draft<'_>, message: &str) -> Decision {
    let is_deleted = |bound: &Bound| bound.deleted || bound.delete_accepted.is_some();
    let accepted = drift_is_accepted(&draft) && !draft.bound().is_some_and(is_deleted);
    draft.forget_instance();
    let verdict = if accepted {
        drift_accepted()
    } else {
        Verdict::pending(message)
    };
    draft.write(Purpose::Unbind, verdict)
}
