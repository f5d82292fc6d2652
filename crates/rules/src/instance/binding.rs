//! How an instance becomes a resource's own, and which resource has an instance that several claim.

use cortecs_api::types::{Instance, InstanceState};
use cortecs_resources::{
    CortecsInstance, annotations, identity::AccountIdentity, instance_status::Phase,
    key::ObjectKey, reason::Reason,
};
use kube::ResourceExt;

use crate::{
    facts::{sealed_id, snapshot::Snapshot},
    instance::{
        draft::{Draft, SOON},
        protocol::Rule,
        status,
        step::{Decision, Purpose},
        verdict::Verdict,
    },
};

/// Waits until the annotation of another resource that names the instance too was checked.
pub(crate) fn await_check(draft: Draft<'_>, mut verdict: Verdict, other: &ObjectKey) -> Decision {
    verdict.message = format!(
        "{}; the annotation cortecs.ai/instance-id of {other} names it too and is checked first",
        verdict.message
    );
    draft.rest(verdict, Some(SOON))
}

/// The write that makes an instance the resource's own.
pub(crate) fn bind(
    mut draft: Draft<'_>,
    home: AccountIdentity,
    instance: &Instance,
    resolved: bool,
    verdict: Verdict,
) -> Decision {
    let instance_id = instance.instance_id.clone();
    draft.status.slot_mut().start = None;
    draft.status.account = Some(home);
    draft.status.instance_id = Some(instance_id.clone());
    status::show_instance(&mut draft.status, instance);
    draft.write(
        Purpose::Bind {
            instance_id,
            resolved,
        },
        verdict,
    )
}

/// Whether all resources were read by quorum after the list was there: what others wrote before is known.
pub(crate) fn read_by_quorum_since(draft: &Draft<'_>, snapshot: &Snapshot) -> bool {
    let read_at = draft.input.book.quorum_read_at();
    !draft.enforces(Rule::QuorumRead) || read_at.is_some_and(|read| read >= snapshot.received_at)
}

/// Running instances first, then pending, then stopped ones; among equals in order of ids.
pub(crate) fn preference(instance: &Instance) -> (u8, &str) {
    let rank = match instance.instance_status.status {
        InstanceState::Running => 0,
        InstanceState::Pending => 1,
        InstanceState::Stopped => 2,
        InstanceState::Unknown(_) => 3,
    };
    (rank, &instance.instance_id)
}

/// Another resource whose annotation names the instance and was not checked yet: the annotation may prove that the instance
/// is that resource's. An annotation that was checked keeps no resource waiting, whatever it proved.
pub(crate) fn unchecked_annotation<'a>(
    draft: &Draft<'a>,
    instance_id: &str,
) -> Option<&'a ObjectKey> {
    let input = draft.input;
    let names_it = |value: &str| sealed_id::named_id(value).as_deref() == Some(instance_id);
    let mut others = input.book.iter().filter(|(key, _)| *key != input.key);
    let unread = others.find(|(_, entry)| {
        let value = entry.resource.annotations().get(annotations::INSTANCE_ID);
        let is_open = |value: &&String| {
            let checked = entry
                .memory
                .has_checked(value, input.settings.settle, input.now);
            names_it(value) && !checked
        };
        entry.resource.records_nothing() && value.is_some_and(|value| is_open(&value))
    });
    unread.map(|(key, _)| key)
}

/// The verdict of a resource whose instance an older resource claims. The younger resource never touches the instance.
pub(crate) fn claimed_by_another(draft: &Draft<'_>) -> Option<Verdict> {
    let input = draft.input;
    let id = draft.status.instance_id.as_deref()?;
    let api_url = &draft.home()?.api_url;
    let mine = seniority(input.resource);
    let owner = input
        .book
        .claimants(api_url, id)
        .filter(|key| *key != input.key)
        .filter_map(|key| input.book.get(key))
        .find(|entry| seniority(&entry.resource) < mine)?;
    let metadata = &owner.resource.metadata;
    Some(Verdict::stalled(
        Phase::Failed,
        Reason::InstanceClaimed,
        format!(
            "instance {id} belongs to {}/{}: this resource does not touch it; delete one of the two",
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default()
        ),
    ))
}

fn seniority(resource: &CortecsInstance) -> (Option<jiff::Timestamp>, &str) {
    let metadata = &resource.metadata;
    (
        metadata.creation_timestamp.as_ref().map(|t| t.0),
        metadata.uid.as_deref().unwrap_or_default(),
    )
}
