//! Whether the annotation that names the bound instance is to be written.

use crate::{
    facts::sealed_id::SealedId,
    instance::{
        binding::claimed_by_another,
        draft::Draft,
        input::Input,
        step::{Decision, Purpose, Step, Write},
    },
};

/// The decision; or the write of the annotation, where that is due and the decision does nothing but report. There is one write
/// per binding: an annotation that proves the binding is not written again. Nothing waits for this write.
pub(crate) fn first(input: &Input<'_>, decision: Decision) -> Decision {
    let free = matches!(
        decision.step,
        Step::Rest | Step::Write(Write::Status(Purpose::Report))
    );
    let status = input.resource.status.as_ref();
    let Some(id) = status.and_then(|s| s.instance_id.as_ref()) else {
        return decision;
    };
    let proven = matches!(&input.memory.sealed_id, SealedId::Proven(proven) if proven == id);
    // Without its fleet there is no secret to seal with.
    let failure = input.memory.seal_failure.as_ref();
    let due = free
        && !proven
        && input.account.fleet.is_some()
        && failure.is_none_or(|failure| input.now >= failure.retry_at)
        && claimed_by_another(&Draft::new(input)).is_none();
    if !due {
        return decision;
    }
    Decision {
        step: Step::Write(Write::Seal {
            instance_id: id.clone(),
        }),
        ..decision
    }
}
