//! Takes an existing instance over instead of starting one, where spec and account ask for it.

use cortecs_api::{
    flaw_of_instance,
    types::{Instance, InstanceArgs},
};
use cortecs_resources::{account::Adoption, instance_status::Phase, reason::Reason};

use super::others;
use crate::{
    facts::{args, snapshot::Snapshot},
    instance::{
        binding::{await_check, bind, preference, read_by_quorum_since, unchecked_annotation},
        draft::Draft,
        input::Account,
        pin::is_unsure,
        run::drift::handle_restart,
        step::{Decision, Step},
        verdict::Verdict,
    },
};

/// The message while the catalog fails.
const UNSURE: &str =
    "the catalog does not answer, so the instances of this model cannot be told: it is asked again";

/// The result of the search for an instance to take over.
pub(crate) enum Adopted<'a> {
    /// Nothing is to be adopted, or nothing is there: start one.
    None,
    Refused(Verdict),
    Instance(&'a Instance),
}

impl Adopted<'_> {
    fn refused(reason: Reason, message: String) -> Self {
        Self::Refused(Verdict::stalled(Phase::Failed, reason, message))
    }

    /// Something passing stands in the way.
    fn awaited(reason: Reason, message: &str) -> Self {
        Self::Refused(Verdict::reconciling(Phase::Pending, reason, message))
    }
}

/// Looks for the instance that `spec.adopt` asks for.
pub(crate) fn adopted<'a>(
    draft: &Draft<'_>,
    account: &Account,
    snapshot: &'a Snapshot,
    pinned: &InstanceArgs,
) -> Adopted<'a> {
    let Some(adopt) = &draft.spec().adopt else {
        return Adopted::None;
    };
    if account.adoption == Adoption::None {
        let message = format!(
            "account {}/{} does not let resources take over instances: set its spec.adoption to Unclaimed, or remove spec.adopt",
            account.identity.namespace, account.identity.name
        );
        return Adopted::refused(Reason::AdoptionNotAllowed, message);
    }
    let book = draft.input.book;
    let me = draft.input.key;
    let api_url = account.identity.api_url.as_str();
    // An instance that an open start may have created belongs to that start until it is resolved; an overtaken start is resolved by
    // a person, who may as well let the instance be taken over.
    let taken = |instance: &Instance| {
        book.is_claimed_by_other(api_url, &instance.instance_id, me)
            || others::may_have_made(draft, api_url, instance, |open| !open.intent.overtaken)
    };
    if let Some(id) = &adopt.instance_id {
        let Some(instance) = snapshot.instances.get(id) else {
            let message =
                format!("there is no instance {id} in the account: correct or remove spec.adopt");
            return Adopted::refused(Reason::InstanceNotFound, message);
        };
        if let Some(why) = flaw_of_instance(id) {
            let message = format!(
                "instance {id} cannot be taken over, as no call could be made to stop it ({why}): correct or remove spec.adopt"
            );
            return Adopted::refused(Reason::AdoptionNotAllowed, message);
        }
        if taken(instance) {
            let message =
                format!("instance {id} belongs to another resource: correct or remove spec.adopt");
            return Adopted::refused(Reason::InstanceClaimed, message);
        }
        let satisfies = args::satisfies(draft.spec(), pinned, &instance.instance_args);
        if !satisfies && is_unsure(draft) {
            return Adopted::awaited(Reason::RetryingAfterError, UNSURE);
        }
        if !satisfies {
            let message = format!(
                "instance {id} was started with other arguments than the spec asks for: make them equal"
            );
            return Adopted::refused(Reason::InvalidArguments, message);
        }
        return Adopted::Instance(instance);
    }
    let fleet = draft.input.account.fleet.as_ref();
    if fleet.is_none_or(|fleet| fleet.has_unseen_users) {
        let message = format!(
            "account {}/{} may be used from namespaces that this operator does not watch, so an instance that no resource here claims may be \
             another one's: name the instance in spec.adopt.instanceId, or remove spec.adopt",
            account.identity.namespace, account.identity.name
        );
        return Adopted::refused(Reason::AdoptionNotAllowed, message);
    }
    if draft.is_incomplete(snapshot, &account.identity) {
        let message = "the account's list lacks an instance that the API finds, so it may lack the one to take over: a complete list is awaited";
        return Adopted::awaited(Reason::ListIncomplete, message);
    }
    if is_unsure(draft) {
        return Adopted::awaited(Reason::RetryingAfterError, UNSURE);
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
pub(crate) fn adopt(
    mut draft: Draft<'_>,
    account: &Account,
    snapshot: &Snapshot,
    instance: &Instance,
) -> Decision {
    let verdict = Verdict::reconciling(
        Phase::Pending,
        Reason::Adopting,
        format!("instance {} is being taken over", instance.instance_id),
    );
    if !read_by_quorum_since(&draft, snapshot) {
        return draft.act(Step::QuorumRead, verdict);
    }
    if let Some(other) = unchecked_annotation(&draft, &instance.instance_id) {
        return await_check(draft, verdict, other);
    }
    handle_restart(&mut draft);
    draft.begins_to_run();
    bind(draft, account.identity.clone(), instance, false, verdict)
}
