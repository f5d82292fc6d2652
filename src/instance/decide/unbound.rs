//! No instance is bound and no start is open: start one, adopt one, or leave it so.

use std::time::Duration;

use super::{
    Decision, Purpose, Step,
    draft::{Draft, Verdict},
    gate,
    input::{Account, Settings},
};
use crate::{
    account::{book::Book, key::ObjectKey, snapshot::Snapshot},
    cortecs::types::{Instance, InstanceArgs, InstanceState},
    instance::args,
    resources::{
        account::Adoption,
        annotations,
        instance::{DesiredState, DriftPolicy},
        instance_status::{MAX_KNOWN_INSTANCE_IDS, Phase, StartIntent},
    },
};

pub(super) fn decide(mut draft: Draft<'_>) -> Decision {
    let spec = draft.spec();
    if spec.state == DesiredState::Stopped {
        handle_restart(&mut draft);
        return draft.rest(
            Verdict::ready(Phase::Stopped, "Stopped", "nothing runs, as asked"),
            None,
        );
    }
    if spec.suspend {
        return draft.rest(suspended("nothing is started"), None);
    }
    if drift_is_accepted(&draft) {
        return draft.rest(drift_accepted(), None);
    }
    let account = match gate::starts(&draft) {
        Ok(account) => account,
        Err(verdict) => return draft.rest(verdict, None),
    };
    if let Some((verdict, wait)) = draft.holding_back(Phase::Pending) {
        return draft.rest(verdict, Some(wait));
    }
    let args = match pinned(&draft) {
        Ok(args) => args,
        Err(NotPinned::Fetch(model_id)) => {
            return draft.act(
                Step::FetchModel { model_id },
                pending("the catalog is being asked"),
            );
        }
        Err(NotPinned::Because(verdict, wait)) => return draft.rest(verdict, Some(wait)),
    };
    let Some(snapshot) = fresh_list(&draft) else {
        draft.wants_list();
        let verdict = waiting_for_list(&draft);
        return draft.rest(verdict, None);
    };
    match adopted(&draft, account, snapshot, &args) {
        Adopted::None => start(draft, account, snapshot, args),
        Adopted::Refused(verdict) => draft.rest(verdict, None),
        Adopted::Instance(instance) => adopt(draft, account, snapshot, instance),
    }
}

fn start(
    mut draft: Draft<'_>,
    account: &Account,
    snapshot: &Snapshot,
    args: InstanceArgs,
) -> Decision {
    let input = draft.input;
    let api_url = &account.identity.api_url;
    let unresolved = input
        .book
        .equal_open_starts(api_url, &args, input.key)
        .find(|open| open.unresolved && !open.stalled);
    if let Some(open) = unresolved {
        let message = format!(
            "the start of {} asked for the same and its outcome is not known yet",
            open.key
        );
        return draft.rest(
            Verdict::reconciling(Phase::Pending, "ResolvingStart", message),
            None,
        );
    }
    let known = known_ids(input.book, snapshot, api_url, input.key, &args);
    if known.len() > MAX_KNOWN_INSTANCE_IDS {
        let message = format!(
            "the account has {} instances of this model, and an instance started now could not be told from them: delete some",
            known.len()
        );
        return draft.rest(
            Verdict::stalled(Phase::Failed, "TooManyInstances", message),
            None,
        );
    }
    handle_restart(&mut draft);
    let id = draft.uuid();
    draft.status.account = Some(account.identity.clone());
    draft.status.instance_args = Some((&args).into());
    draft.status.reached_generation = None;
    draft.status.start = Some(StartIntent {
        id,
        requested_at: input.wall,
        args: (&args).into(),
        known_instance_ids: known,
    });
    draft.write(
        Purpose::StartIntent(id),
        starting("the instance is being started"),
    )
}

/// The ids of the model's instances that a start decided now cannot have created.
///
/// While equal starts are open, an unclaimed equal instance might be theirs and so is not known: their known ids are
/// taken over instead, and those that are claimed.
fn known_ids(
    book: &Book,
    snapshot: &Snapshot,
    api_url: &str,
    me: &ObjectKey,
    wanted: &InstanceArgs,
) -> Vec<String> {
    let open: Vec<&StartIntent> = book
        .equal_open_starts(api_url, wanted, me)
        .map(|open| open.intent)
        .collect();
    let known_to_open = |id: &String| {
        open.iter()
            .any(|intent| intent.known_instance_ids.contains(id))
    };
    snapshot
        .instances
        .iter()
        .filter(|(_, instance)| args::same_model(wanted, &instance.instance_args))
        .filter(|(id, instance)| {
            open.is_empty()
                || !args::matches(wanted, &instance.instance_args)
                || known_to_open(id)
                || book.is_claimed_by_other(api_url, id, me)
        })
        .map(|(id, _)| id.clone())
        .collect()
}

enum Adopted<'a> {
    /// Nothing is to be adopted, or nothing is there: start one.
    None,
    Refused(Verdict),
    Instance(&'a Instance),
}

fn adopted<'a>(
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
            || book.open_starts(api_url, me).any(|open| {
                args::matches(
                    &InstanceArgs::from(&open.intent.args),
                    &instance.instance_args,
                ) && !open
                    .intent
                    .known_instance_ids
                    .contains(&instance.instance_id)
            })
    };
    if let Some(id) = &adopt.instance_id {
        let Some(instance) = snapshot.instances.get(id) else {
            let message =
                format!("there is no instance {id} in the account: correct or remove spec.adopt");
            return Adopted::Refused(Verdict::stalled(Phase::Failed, "InstanceNotFound", message));
        };
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
        .min_by_key(|instance| preference(instance))
        .map_or(Adopted::None, |instance| Adopted::Instance(instance))
}

fn adopt(
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
    handle_restart(&mut draft);
    bind(draft, account.identity.clone(), instance, false, verdict)
}

/// The write that makes an instance the resource's own.
pub(super) fn bind(
    mut draft: Draft<'_>,
    home: crate::resources::instance_status::AccountIdentity,
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
    draft
        .input
        .book
        .quorum_read_at()
        .is_some_and(|read| read >= snapshot.received_at)
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

pub(super) enum NotPinned {
    Fetch(String),
    Because(Verdict, Duration),
}

/// How long to wait before the catalog is asked again about what it refused.
const CATALOG_RETRY: Duration = Duration::from_secs(60);
/// How long to wait before the catalog is asked again after a failure.
const CATALOG_BACKOFF: Duration = Duration::from_secs(5);

/// The spec's arguments with every default resolved.
pub(super) fn pinned(draft: &Draft<'_>) -> Result<InstanceArgs, NotPinned> {
    let spec = draft.spec();
    let invalid = |message: &str| {
        NotPinned::Because(
            Verdict::stalled(Phase::Failed, "InvalidArguments", message),
            CATALOG_RETRY,
        )
    };
    let model = match draft.input.model {
        Some(Ok(model)) => Some(&**model),
        None if args::needs_catalog(spec) => {
            return Err(NotPinned::Fetch(args::normalise_model_id(&spec.model_id)));
        }
        Some(Err(problem)) if args::needs_catalog(spec) => {
            if problem.terminal {
                return Err(invalid(&problem.message));
            }
            let verdict =
                Verdict::reconciling(Phase::Pending, "RetryingAfterError", &problem.message);
            return Err(NotPinned::Because(verdict, CATALOG_BACKOFF));
        }
        None | Some(Err(_)) => None,
    };
    args::pin(spec, model).map_err(|message| invalid(&message))
}

fn fresh_list<'a>(draft: &Draft<'a>) -> Option<&'a Snapshot> {
    draft
        .snapshot()
        .filter(|s| s.received_at.after(Settings::FRESH) >= draft.input.now)
}

/// What to say while a list is awaited: why the last one failed, if it did.
pub(super) fn list_awaited(draft: &Draft<'_>) -> String {
    let fleet = draft.input.account.fleet.as_ref();
    fleet.and_then(|f| f.problem.as_ref()).map_or_else(
        || "the account's instances are being listed".to_owned(),
        |(_, message)| message.clone(),
    )
}

fn waiting_for_list(draft: &Draft<'_>) -> Verdict {
    let failed = draft
        .input
        .account
        .fleet
        .as_ref()
        .is_some_and(|f| f.problem.is_some());
    let reason = if failed {
        "RetryingAfterError"
    } else {
        "Pending"
    };
    Verdict::reconciling(Phase::Pending, reason, list_awaited(draft))
}

/// Whether an instance that others stopped or deleted stays so: the policy accepts it, and since it last ran neither
/// the spec has changed nor a restart was asked for.
pub(super) fn drift_is_accepted(draft: &Draft<'_>) -> bool {
    let ran = draft.status.reached_generation == Some(draft.generation());
    ran && draft.spec().drift_policy == DriftPolicy::Accept && !restart_is_asked_for(draft)
}

/// Whether `cortecs.ai/restartedAt` has a value that was not acted on yet.
pub(super) fn restart_is_asked_for(draft: &Draft<'_>) -> bool {
    let asked = draft.annotation(annotations::RESTARTED_AT);
    asked.is_some() && asked != draft.status.last_handled_restart_at.as_deref()
}

/// What is written or already so satisfies the restart that was asked for.
pub(super) fn handle_restart(draft: &mut Draft<'_>) {
    if let Some(asked) = draft.annotation(annotations::RESTARTED_AT) {
        draft.status.last_handled_restart_at = Some(asked.to_owned());
    }
}

pub(super) fn drift_accepted() -> Verdict {
    Verdict::resting(
        Phase::Stopped,
        "DriftAccepted",
        "someone else stopped or deleted the instance, and driftPolicy accepts it: change the spec or set cortecs.ai/restartedAt to run it again",
    )
}

pub(super) fn suspended(what: &str) -> Verdict {
    Verdict::resting(
        Phase::Pending,
        "Suspended",
        format!("the resource is suspended: {what}"),
    )
}

pub(super) fn pending(message: &str) -> Verdict {
    Verdict::reconciling(Phase::Pending, "Pending", message)
}

pub(super) fn starting(message: &str) -> Verdict {
    Verdict::reconciling(Phase::Starting, "Starting", message)
}
