//! The status is empty, but the annotation `cortecs.ai/instance-id` says which instance was the resource's own: it was
//! restored from a backup, or its status was emptied while no operator ran. The instance is bound again if it exists and
//! no other resource claims it, whatever the spec asks for. Before that is settled nothing is started and the finalizer stays.

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use cortecs_resources::{instance_status::Phase, reason::Reason};

use crate::{
    facts::{
        args, bound::Bound, lookup::Lookup, memory::Named, sealed_id::SealedId, snapshot::Snapshot,
    },
    instance::{
        binding::{bind, read_by_quorum_since},
        draft::Draft,
        gate,
        input::{Account, Desired},
        run::{
            drift::handle_restart,
            gone::{self, Gone},
        },
        step::{ApiCall, Decision, Step},
        verdict::Verdict,
    },
};

/// Whether it has to be settled first which instance is the resource's own.
pub(crate) fn is_open(draft: &Draft<'_>) -> bool {
    if !draft.input.resource.records_nothing() {
        return false;
    }
    match &draft.input.memory.sealed_id {
        SealedId::None => false,
        SealedId::Unchecked => true,
        SealedId::Proven(_) => named(draft).is_none_or(|n| how_gone(draft, &n.bound) != Gone::Yes),
    }
}

/// What the annotation proves to be the resource's own is gone. The status records that something has been there, so that no
/// other process looks for it once more.
pub(crate) fn record_end(draft: &mut Draft<'_>) {
    let memory = draft.input.memory;
    if draft.input.resource.records_nothing() && matches!(memory.sealed_id, SealedId::Proven(_)) {
        draft.has_run();
    }
}

pub(crate) fn decide(draft: Draft<'_>) -> Decision {
    let Some(Named { bound, .. }) = named(&draft) else {
        return unchecked(draft);
    };
    if let Some(verdict) = claimed_by_another(&draft) {
        return draft.rest(verdict, None);
    }
    let account = match &draft.input.account.desired {
        Desired::Usable(account) => account,
        Desired::Pending(_) | Desired::Unusable { .. } => return unchecked(draft),
    };
    if let Err(verdict) = gate::reachable(&draft) {
        return draft.rest(verdict, None);
    }
    match how_gone(&draft, bound) {
        // Settled: the resource goes on as if the annotation were not there.
        Gone::Yes => draft.unchanged(None),
        Gone::NeedsGet => look_up(draft, bound),
        Gone::Settling(wait) => {
            let verdict = taking_back(&draft, bound);
            draft.rest(verdict, Some(wait))
        }
        Gone::NeedsList => await_list(draft, bound),
        Gone::Held => {
            let why = draft.held().unwrap_or_default();
            let message = format!(
                "the account's list lacks instance {}, which is this resource's own as the annotation cortecs.ai/instance-id \
                 proves, and that proves nothing: {why}",
                bound.id
            );
            draft.rest(
                Verdict::stalled(Phase::Failed, Reason::AccountHeld, message),
                None,
            )
        }
        Gone::No => {
            let snapshot = draft.snapshot();
            match snapshot.and_then(|s| Some((s, s.instances.get(&bound.id)?))) {
                Some((snapshot, instance)) => present(draft, account, bound, snapshot, instance),
                None => await_list(draft, bound),
            }
        }
    }
}

/// The verdict of a resource whose annotation names an instance that another resource claims. It never touches the instance.
pub(crate) fn claimed_by_another(draft: &Draft<'_>) -> Option<Verdict> {
    let Named { fleet, bound } = named(draft)?;
    let mut claimants = draft.input.book.claimants(&fleet.api_url, &bound.id);
    let owner = claimants.find(|key| *key != draft.input.key)?;
    Some(Verdict::stalled(
        Phase::Failed,
        Reason::InstanceClaimed,
        format!(
            "instance {}, which the annotation cortecs.ai/instance-id names, belongs to {owner} now: this resource does not \
             touch it and starts nothing; remove the annotation to let it start one of its own, or delete one of the two",
            bound.id
        ),
    ))
}

/// Listed: bound, once a get has confirmed it and all resources were read after the list.
fn present(
    mut draft: Draft<'_>,
    account: &Account,
    bound: &Bound,
    snapshot: &Snapshot,
    instance: &Instance,
) -> Decision {
    if bound.direct.is_none() {
        let now = draft.input.now;
        return match &bound.lookup {
            Some(lookup) if !lookup.is_due(now, snapshot.requested_at) => {
                not_found(draft, bound, lookup)
            }
            _ => look_up(draft, bound),
        };
    }
    let verdict = taking_back(&draft, bound);
    if !read_by_quorum_since(&draft, snapshot) {
        return draft.act(Step::QuorumRead, verdict);
    }
    // An order to restart the instance may be older than the binding, so it counts as handled.
    handle_restart(&mut draft);
    draft.begins_to_run();
    // The arguments of the spec at that time are not known: the arguments in force take their place. What answers leave out
    // counts as being as the spec asks: nothing that runs is replaced because of what is not known.
    let asked = args::recorded(&args::stated(draft.spec()));
    draft.status.slot_mut().requested_args =
        Some(args::in_force(&instance.instance_args, Some(&asked)));
    bind(draft, account.identity.clone(), instance, false, verdict)
}

fn look_up(draft: Draft<'_>, bound: &Bound) -> Decision {
    let verdict = taking_back(&draft, bound);
    let call = ApiCall::Get {
        instance_id: bound.id.clone(),
    };
    draft.call(call, verdict)
}

/// Lists show it, and the API does not find it: lists may show for a while what was deleted.
fn not_found(draft: Draft<'_>, bound: &Bound, lookup: &Lookup) -> Decision {
    let now = draft.input.now;
    let mut verdict = taking_back(&draft, bound);
    if lookup.lasts(draft.input.settings.settle, now) {
        let message = format!(
            "the account's list shows instance {}, which the annotation cortecs.ai/instance-id proves to be this resource's own, \
             but the API does not find it: see to it with the provider, or remove the annotation to let the resource start another one",
            bound.id
        );
        verdict = Verdict::stalled(verdict.phase, Reason::InstanceNotFound, message);
    }
    draft.rest(verdict, Some(lookup.wait(now)))
}

fn await_list(draft: Draft<'_>, bound: &Bound) -> Decision {
    let verdict = taking_back(&draft, bound);
    draft.await_list(bound.first_seen, verdict, None)
}

/// There is no secret to check the annotation with.
fn unchecked(mut draft: Draft<'_>) -> Decision {
    let phase = phase(&draft);
    let mut verdict = match gate::reachable(&draft) {
        Err(verdict) => verdict,
        Ok(()) => Verdict::reconciling(
            phase,
            Reason::WaitingForAccount,
            "the account is being checked",
        ),
    };
    // Any list will do: what is awaited is the account.
    draft.needs_list(Moment::default());
    verdict.message = format!(
        "whether the instance that the annotation cortecs.ai/instance-id names belongs to this resource cannot be told: {}",
        verdict.message
    );
    if phase == Phase::Deleting {
        verdict.phase = phase;
        verdict.message.push_str(
            ". Bring the account and its credentials back, or remove the annotation, or set deletionPolicy: Orphan, to leave \
             the instance behind",
        );
    }
    draft.rest(verdict, None)
}

fn taking_back(draft: &Draft<'_>, bound: &Bound) -> Verdict {
    let message = format!(
        "instance {} is this resource's own, as the annotation cortecs.ai/instance-id proves: it is being looked for",
        bound.id
    );
    Verdict::reconciling(phase(draft), Reason::Restoring, message)
}

fn phase(draft: &Draft<'_>) -> Phase {
    match draft.is_deleting() {
        true => Phase::Deleting,
        false => Phase::Pending,
    }
}

fn named<'a>(draft: &Draft<'a>) -> Option<&'a Named> {
    draft.input.memory.named.as_ref()
}

fn how_gone(draft: &Draft<'_>, bound: &Bound) -> Gone {
    gone::check(draft, bound)
}
