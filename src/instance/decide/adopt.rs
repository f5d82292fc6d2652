//! Takes an existing instance over instead of starting one, where spec and account ask for it.

use std::time::Duration;

use super::{
    Decision, Purpose, Rule, Step,
    draft::{Draft, Verdict},
    drift::handle_restart,
    input::Account,
    restored::unread_claim,
};
use crate::{
    account::{key::ObjectKey, snapshot::Snapshot},
    cortecs::{
        flaw_of_instance,
        types::{Instance, InstanceArgs, InstanceState},
    },
    instance::args,
    resources::{
        account::Adoption,
        instance_status::{AccountIdentity, Phase},
    },
};

/// How soon to look again whether an annotation was checked: that takes as long as the watch takes to deliver it.
const CHECKED_SOON: Duration = Duration::from_secs(1);

/// What is to be taken over.
pub(super) enum Adopted<'a> {
    /// Nothing is to be adopted, or nothing is there: start one.
    None,
    Refused(Verdict),
    Instance(&'a Instance),
}

/// Looks for the instance that `spec.adopt` asks for.
pub(super) fn adopted<'a>(
    draft: &Draft<'_>,
    account: &Account,
    snapshot: &'a Snapshot,
    pinned: &InstanceArgs,
) -> Adopted<'a> {
    let Some(adopt) = &draft.spec().adopt else {
        return Adopted::None;
    };
    if account.adoption == Adoption::None {
        return Adopted::Refused(Verdict::stalled(
            Phase::Failed,
            "AdoptionNotAllowed",
            format!(
                "account {}/{} does not let resources take over instances: set its spec.adoption to Unclaimed, or remove spec.adopt",
                account.identity.namespace, account.identity.name
            ),
        ));
    }
    let book = draft.input.book;
    let me = draft.input.key;
    let api_url = account.identity.api_url.as_str();
    // What an open start may have created belongs to it until it is resolved.
    let taken = |instance: &Instance| {
        book.is_claimed_by_other(api_url, &instance.instance_id, me)
            || book
                .open_starts(api_url, me)
                .any(|open| open.may_have_made(instance))
    };
    if let Some(id) = &adopt.instance_id {
        let Some(instance) = snapshot.instances.get(id) else {
            let message =
                format!("there is no instance {id} in the account: correct or remove spec.adopt");
            return Adopted::Refused(Verdict::stalled(Phase::Failed, "InstanceNotFound", message));
        };
        if let Some(why) = flaw_of_instance(id) {
            let message = format!(
                "instance {id} cannot be taken over, as no call could be made to stop it ({why}): correct or remove spec.adopt"
            );
            return Adopted::Refused(Verdict::stalled(
                Phase::Failed,
                "AdoptionNotAllowed",
                message,
            ));
        }
        if taken(instance) {
            let message =
                format!("instance {id} belongs to another resource: correct or remove spec.adopt");
            return Adopted::Refused(Verdict::stalled(Phase::Failed, "InstanceClaimed", message));
        }
        if !args::satisfies(draft.spec(), &instance.instance_args) {
            let message = format!(
                "instance {id} was started with other arguments than the spec asks for: make them equal"
            );
            return Adopted::Refused(Verdict::stalled(Phase::Failed, "InvalidArguments", message));
        }
        return Adopted::Instance(instance);
    }
    snapshot
        .instances
        .values()
        .filter(|instance| args::matches(pinned, &instance.instance_args) && !taken(instance))
        .filter(|instance| flaw_of_instance(&instance.instance_id).is_none())
        .min_by_key(|instance| preference(instance))
        .map_or(Adopted::None, |instance| Adopted::Instance(instance))
}

/// Takes the instance over, once all resources were read after the list that shows it.
pub(super) fn adopt(
    mut draft: Draft<'_>,
    account: &Account,
    snapshot: &Snapshot,
    instance: &Instance,
) -> Decision {
    let verdict = Verdict::reconciling(
        Phase::Pending,
        "Adopting",
        format!("instance {} is being taken over", instance.instance_id),
    );
    if !read_by_quorum_since(&draft, snapshot) {
        return draft.act(Step::QuorumRead, verdict);
    }
    if let Some(other) = unread_claim(&draft, &instance.instance_id) {
        return await_claim(draft, verdict, other);
    }
    handle_restart(&mut draft);
    draft.begins_to_run();
    bind(draft, account.identity.clone(), instance, false, verdict)
}

/// Waits until it is known what the annotation of another resource is worth that names the instance too.
pub(super) fn await_claim(draft: Draft<'_>, mut verdict: Verdict, other: &ObjectKey) -> Decision {
    verdict.message = format!(
        "{}; the annotation cortecs.ai/instance-id of {other} names it too and is checked first",
        verdict.message
    );
    draft.rest(verdict, Some(CHECKED_SOON))
}

/// The write that makes an instance the resource's own.
pub(super) fn bind(
    mut draft: Draft<'_>,
    home: AccountIdentity,
    instance: &Instance,
    resolved: bool,
    verdict: Verdict,
) -> Decision {
    let instance_id = instance.instance_id.clone();
    draft.status.start = None;
    draft.status.account = Some(home);
    draft.status.instance_id = Some(instance_id.clone());
    draft.show(instance);
    draft.write(
        Purpose::Bind {
            instance_id,
            resolved,
        },
        verdict,
    )
}

/// Whether all resources were read by quorum after the list was there: what others wrote before is known.
pub(super) fn read_by_quorum_since(draft: &Draft<'_>, snapshot: &Snapshot) -> bool {
    let read_at = draft.input.book.quorum_read_at();
    !draft.holds(Rule::QuorumRead) || read_at.is_some_and(|read| read >= snapshot.received_at)
}

/// Running instances first, then pending, then stopped ones; among equals in order of ids.
pub(super) fn preference(instance: &Instance) -> (u8, &str) {
    let rank = match instance.instance_status.status {
        InstanceState::Running => 0,
        InstanceState::Pending => 1,
        InstanceState::Stopped => 2,
        InstanceState::Unknown(_) => 3,
    };
    (rank, &instance.instance_id)
}
