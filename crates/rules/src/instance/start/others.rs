//! The open starts of other resources: what they hold up, and which instances they may have made.
//!
//! A start that does not come to an end holds others up for a limited time only. Then one of those marks its intent as
//! overtaken and goes on. From there on what the overtaken start has made cannot be told from what others make, so it ends with
//! the answer of a person. All this follows from the intents and from times, never from a condition: the trouble of
//! one tenant is not that of another.

use std::time::Duration;

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_clock::Moment;
use cortecs_resources::{
    conditions,
    identity::AccountIdentity,
    instance_status::Phase,
    journal::{MAX_KNOWN_INSTANCES, StartIntent},
    reason::Reason,
};

use crate::{
    facts::{
        args,
        attempt::Attempt,
        held_up::HeldUp,
        known::{digest, is_known_to},
        lookup::Answer,
    },
    instance::{
        draft::{Draft, SOON},
        input::Desired,
        pin::is_unsure,
        protocol::Rule,
        step::{Decision, Step, Write},
        verdict::Verdict,
    },
    ledger::open_start::{OpenStart, Progress, is_older},
};

/// An open start that has to come to an end before a start with `wanted` may be made at this API. `mine` is the intent of
/// that start, once it is written. Before that, an intent that is being written counts as well: of two intents that are written
/// at the same time, one would be taken back.
pub(crate) fn holding_up<'a>(
    draft: &Draft<'a>,
    home: &'a AccountIdentity,
    wanted: &InstanceArgs,
    mine: Option<&StartIntent>,
) -> Option<OpenStart<'a>> {
    let input = draft.input;
    let any_model = mine.map_or_else(|| is_unsure(draft), |mine| mine.any_model);
    let holds_up = |open: &OpenStart<'_>| open.holds_up(wanted, any_model, &home.client_id, mine);
    let mut open = input.book.open_starts(&home.api_url, input.key);
    open.find(holds_up).or_else(|| {
        let since = input.now.before(input.settings.young());
        let mut written = input
            .book
            .starts_being_written(&home.api_url, input.key, since);
        written.find(|open| mine.is_none() && holds_up(open))
    })
}

/// Waits for the other start, and overtakes it when it has held this one up for long enough.
pub(crate) fn wait_for(mut draft: Draft<'_>, open: &OpenStart<'_>) -> Decision {
    let now = draft.input.now;
    let before = draft.input.memory.held_up.as_ref();
    let since = before.filter(|held_up| held_up.by == open.intent.id);
    let since = since.map_or(now, |held_up| held_up.since);
    let settle = draft.input.settings.settle;
    // Many starts that do not come to an end hold this one up for as long as one of them.
    let begin = open
        .attempt
        .map_or(since, |attempt| attempt.settled_at(settle).before(settle));
    // While there were no lists, the other start could not come to an end.
    let fleet = draft.input.account.fleet.as_ref();
    let good_since = fleet.map_or(now, |fleet| fleet.good_since);
    let patience = begin.max(good_since).after(patience(&draft, open));
    let lists_work = draft.snapshot().is_some() && draft.list_problem().is_none();
    let message = format!(
        "the start of {} may make an instance that looks the same, and its outcome is not known yet",
        open.key
    );
    let verdict = Verdict::held_up(message);
    draft.is_held_up(HeldUp {
        by: open.intent.id,
        since,
    });
    if now >= patience
        && lists_work
        && open.progress != Progress::InFlight
        && draft.enforces(Rule::StartsAreOvertaken)
    {
        let step = Step::Write(Write::Overtake {
            start_of: open.key.clone(),
            intent: open.intent.id,
        });
        return draft.act_if_permitted(step, verdict);
    }
    let wait = match open.progress {
        Progress::Unknown => patience.since(now),
        // It comes to an end soon, and nothing wakes this resource then.
        _ => SOON,
    };
    if draft.is_current() && is_shown_to_wait(&draft) {
        // Another start each time would be another write each time, and so would each end of a pause.
        draft.is_busy();
        return draft.unchanged(Some(wait));
    }
    draft.rest(verdict, Some(wait))
}

/// Whether the status says already what this start waits for: another start, or an API that has failed since.
fn is_shown_to_wait(draft: &Draft<'_>) -> bool {
    let ready = conditions::find_condition(&draft.status.conditions, conditions::READY);
    let shown = match ready.and_then(Reason::of) {
        Some(Reason::ResolvingStart) => true,
        Some(Reason::RetryingAfterError) => draft.trouble().is_some(),
        _ => false,
    };
    draft.phase() == Phase::Pending && shown
}

/// How long a start waits for another one: the settle time, and a quarter of it for the lists that the other start needs to be
/// given up. A start that has not looked at enough of these lists yet gets more time: its process may have been frozen, or may have
/// much to do. In the same account it gets far more, since each list is a list for both. So does a start of that account whose gets fail.
fn patience(draft: &Draft<'_>, open: &OpenStart<'_>) -> Duration {
    let settings = draft.input.settings;
    let patience = settings.settle + settings.young();
    let is_mine = match &draft.input.account.desired {
        Desired::Usable(account) => account.identity.client_id == open.client_id,
        _ => false,
    };
    let gets_fail = open.attempt.is_some_and(|attempt| {
        let mut lookups = attempt.lookups.values();
        lookups.any(|lookup| lookup.answer == Answer::Failed)
    });
    match open.attempt.map(|attempt| attempt.settled_lists) {
        Some(_) if is_mine && gets_fail => patience + LONG * settings.settle,
        Some(0..ENOUGH_LISTS) if is_mine => patience + LONG * settings.settle,
        Some(1..ENOUGH_LISTS) => patience + settings.settle,
        None if is_mine => patience + settings.settle,
        _ => patience,
    }
}

/// How many settle times a start waits for one that should come to an end with the next lists.
const LONG: u32 = 4;

/// With so many lists after its settle time, a start that can come to an end by itself has done so.
const ENOUGH_LISTS: u32 = 4;

/// The equal open starts at this API that may still come to an end by themselves.
fn equals<'a>(
    draft: &Draft<'a>,
    api_url: &'a str,
    wanted: &'a InstanceArgs,
) -> impl Iterator<Item = OpenStart<'a>> {
    let input = draft.input;
    let equals = input.book.equal_open_starts(api_url, wanted, input.key);
    equals.filter(|open| !open.intent.overtaken)
}

/// An equal start whose call is being made: its answer may name any of the instances that have appeared.
pub(crate) fn in_flight<'a>(
    draft: &Draft<'a>,
    api_url: &'a str,
    wanted: &'a InstanceArgs,
) -> Option<OpenStart<'a>> {
    equals(draft, api_url, wanted).find(|open| open.progress == Progress::InFlight)
}

/// How many equal starts of unknown outcome are before this one: each takes one of the instances that have appeared, the oldest
/// start the first. A start whose settle time is over is not waited for.
pub(crate) fn rank(draft: &Draft<'_>, intent: &StartIntent, attempt: &Attempt) -> usize {
    let (input, settle) = (draft.input, draft.input.settings.settle);
    let wanted = args::of_record(&intent.args);
    let is_before = |open: &OpenStart<'_>| {
        open.progress == Progress::Unknown
            && is_older(open.intent, intent)
            && input.now < open.attempt.unwrap_or(attempt).settled_at(settle)
    };
    draft.home().map_or(0, |home| {
        equals(draft, &home.api_url, &wanted)
            .filter(is_before)
            .count()
    })
}

/// When the settle time of all equal starts of unknown outcome is over, those included that came to an end meanwhile: one of them may have
/// taken what this start has made, and then what it has made itself is this start's. A start that this process has not looked at, as
/// another operator makes it, counts as this one. An overtaken start waits for none that is open: those leave its instance alone until their
/// own must have appeared.
pub(crate) fn settled_at(
    draft: &Draft<'_>,
    api_url: &str,
    wanted: &InstanceArgs,
    is_overtaken: bool,
) -> Moment {
    if !draft.enforces(Rule::EqualStartsSettle) {
        return Moment::default();
    }
    let settle = draft.input.settings.settle;
    let ended = draft.input.book.last_ended(api_url, &wanted.model_id);
    equals(draft, api_url, wanted)
        .filter(|open| open.progress == Progress::Unknown && !is_overtaken)
        .filter_map(|open| Some(open.attempt?.settled_at(settle)))
        .chain(ended.map(|ended| ended.after(settle)))
        .max()
        .unwrap_or_default()
}

/// Whether an open start of another resource, one of those that count, may have made the instance, as far as the answers of the
/// API tell.
pub(crate) fn may_have_made(
    draft: &Draft<'_>,
    api_url: &str,
    instance: &Instance,
    counts: impl Fn(&OpenStart<'_>) -> bool,
) -> bool {
    let input = draft.input;
    let mut open = input.book.open_starts(api_url, input.key);
    open.any(|open| counts(&open) && open.may_have_made(instance))
}

/// Whether a start that asked for other arguments may have made the instance.
pub(crate) fn is_contested(
    draft: &Draft<'_>,
    api_url: &str,
    wanted: &InstanceArgs,
    instance: &Instance,
) -> bool {
    may_have_made(draft, api_url, instance, |open| !open.is_equal(wanted))
}

/// Whether an equal start that was overtaken may have made the instance. It is bound by this start only when the instance of this
/// start must have appeared too: a person who says of the overtaken start that it has made nothing would be wrong otherwise.
pub(crate) fn may_be_of_overtaken(
    draft: &Draft<'_>,
    api_url: &str,
    wanted: &InstanceArgs,
    instance: &Instance,
) -> bool {
    may_have_made(draft, api_url, instance, |open| {
        open.intent.overtaken && open.is_equal(wanted)
    })
}

/// Whether another start may still be resolved to the instance, and no status records it as a resource's. An overtaken start
/// ends with the answer of a person.
pub(crate) fn may_be_of_another(
    draft: &Draft<'_>,
    api_url: &str,
    wanted: &InstanceArgs,
    instance: &Instance,
) -> bool {
    let (book, me) = (draft.input.book, draft.input.key);
    let agrees = args::may_be(wanted, is_unsure(draft), &instance.instance_args);
    agrees
        && !book.is_recorded_for_other(api_url, &instance.instance_id, me)
        && may_have_made(draft, api_url, instance, |open| !open.intent.overtaken)
}

/// The write that tells an open start of an instance that this resource leaves behind. `None` when all that could take it for
/// new know it. A record that is full is overtaken instead: then a person says what that start has made.
pub(crate) fn tell_of(draft: &Draft<'_>, api_url: &str, instance_id: &str) -> Option<Write> {
    let input = draft.input;
    let left = draft.status.instance_args.as_ref().map(args::of_record);
    let is_unaware = |open: &OpenStart<'_>| {
        let wanted = args::of_record(&open.intent.args);
        let is_like = left
            .as_ref()
            .is_none_or(|left| args::may_look_alike(left, &wanted));
        (is_like || open.intent.any_model) && !is_known_to(open.intent, instance_id)
    };
    let is_full = |open: &OpenStart<'_>| open.intent.known_instances.len() >= MAX_KNOWN_INSTANCES;
    let mut open = input
        .book
        .open_starts(api_url, input.key)
        .filter(is_unaware);
    let open = open.find(|open| !(is_full(open) && open.intent.overtaken))?;
    let (start_of, intent) = (open.key.clone(), open.intent.id);
    Some(match is_full(&open) {
        true => Write::Overtake { start_of, intent },
        false => Write::LetGo {
            start_of,
            intent,
            digest: digest(intent, instance_id),
        },
    })
}
