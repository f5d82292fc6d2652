//! The cost that a status shows.

use cortecs_api::types::InstanceState;
use cortecs_resources::{
    instance_status::{CortecsInstanceStatus, Cost},
    key::ObjectKey,
};
use jiff::{SignedDuration, Timestamp};

use super::input::Input;
use crate::{
    cost::accrued::{self, Look, Run},
    facts::home,
};

/// The cost as it should be shown with the rest of `status`.
pub(crate) fn next(input: &Input<'_>, status: &CortecsInstanceStatus) -> Option<Cost> {
    let before = priced(input, status.cost.as_ref());
    let run = run(input, status, before.as_ref());
    let cost = accrued::next(before.as_ref(), run, look(input, status))?;
    Some(paid(input, status, cost))
}

/// The cost after the status took over what the API says of the instance. An instance that was stopped later than it was last asked to run
/// has run since, also if nobody saw it.
pub(crate) fn seen(input: &Input<'_>, status: &CortecsInstanceStatus) -> Option<Cost> {
    let cost = status.cost.as_ref();
    let look = look(input, status);
    let is_counted = |asked: Timestamp| {
        cost.is_some_and(|cost| cost.since.is_some() || accrued::counts(cost, asked))
    };
    let asked = look.asked.filter(|asked| !is_counted(*asked));
    let unseen = asked.filter(|asked| look.stopped.is_some_and(|stopped| stopped >= *asked));
    let price = price(input, status);
    let (Some(since), Some(_)) = (unseen, price) else {
        return cost.cloned();
    };
    let model = model(status);
    let run = Run {
        since,
        price,
        model,
    };
    let begun = accrued::next(cost, Some(run), look);
    let ended = accrued::next(begun.as_ref(), None, look)?;
    Some(paid(input, status, ended))
}

/// When the API stopped the instance, by what the status says.
fn shown_stop(status: &CortecsInstanceStatus) -> Option<Timestamp> {
    let shown = status.instance_status.as_ref()?;
    shown.stopped_at.as_ref()?.parse().ok()
}

fn look(input: &Input<'_>, status: &CortecsInstanceStatus) -> Look {
    // The interval of the run that ends may be that of an instance that is forgotten by now.
    let stored = input.resource.status.as_ref();
    let interval = stored.and_then(interval).or_else(|| interval(status));
    Look {
        asked: status.slot().last_start_time,
        stopped: shown_stop(status).filter(|_| is_stopped(status)),
        interval: accrued::interval_seconds(interval),
        now: input.wall,
    }
}

/// The run that the stored status shows may end before anything else tells what it costs.
fn priced(input: &Input<'_>, before: Option<&Cost>) -> Option<Cost> {
    let is_priced =
        before.is_some_and(|cost| cost.since.is_none() || cost.price_per_hour.is_some());
    let stored = input.resource.status.as_ref().filter(|_| !is_priced);
    match stored.filter(|stored| is_up(stored)) {
        Some(stored) => {
            let run = billed(input, stored, before);
            accrued::next(before, Some(run), look(input, stored))
        }
        None => before.cloned(),
    }
}

/// The account of a run pays for it. That of a run that ends may be forgotten by now.
fn paid(input: &Input<'_>, status: &CortecsInstanceStatus, mut cost: Cost) -> Cost {
    let home = status.account.as_ref();
    let home = home.or_else(|| home::home(input.resource));
    if let Some(home) = home.filter(|_| Some(&cost) != status.cost.as_ref()) {
        cost.account = Some(ObjectKey::new(&home.namespace, &home.name).to_string());
    }
    cost
}

/// The run that is billed now: an instance is bound, and was not seen to be stopped.
fn run<'a>(
    input: &'a Input<'_>,
    status: &'a CortecsInstanceStatus,
    before: Option<&Cost>,
) -> Option<Run<'a>> {
    let id = status.instance_id.as_ref()?;
    let bound = input.memory.bound.as_ref();
    let is_gone = bound.is_some_and(|bound| bound.id == *id && bound.deleted);
    let goes_on = is_up(status) || lags(input, status, before);
    (goes_on && !is_gone).then(|| billed(input, status, before))
}

/// The run that `status` shows. `before` tells the beginning of one that the records lack.
fn billed<'a>(
    input: &'a Input<'_>,
    status: &'a CortecsInstanceStatus,
    before: Option<&Cost>,
) -> Run<'a> {
    let asked = status.slot().last_start_time;
    // Within a run the beginning of what is shown may be later: then its price has changed.
    let shown = before.and_then(|cost| cost.since);
    let since = shown.filter(|since| asked.is_none_or(|asked| *since >= asked));
    // The run that was asked for has ended. An instance that is up again was restarted by somebody else, or the list is from before the end.
    let is_again = |asked: &Timestamp| before.is_some_and(|cost| accrued::counts(cost, *asked));
    let begun = asked.filter(|asked| !is_again(asked));
    Run {
        since: since.or(begun).unwrap_or(input.wall),
        price: price(input, status),
        model: model(status),
    }
}

/// The instance was seen to run after its last start or restart, and the list is from before that.
fn lags(input: &Input<'_>, status: &CortecsInstanceStatus, before: Option<&Cost>) -> bool {
    let since = before.and_then(|cost| cost.since);
    let lag = SignedDuration::try_from(input.settings.settle).unwrap_or_default();
    let is_old = |asked: Timestamp| {
        shown_stop(status).is_some_and(|stop| stop < asked)
            && since.is_some_and(|since| since >= asked)
            && input.wall.duration_since(asked) < lag
    };
    is_stopped(status) && status.slot().last_start_time.is_some_and(is_old)
}

fn is_stopped(status: &CortecsInstanceStatus) -> bool {
    let shown = status.instance_status.as_ref();
    shown.is_some_and(|shown| shown.status == InstanceState::Stopped.as_str())
}

/// Whether the instance runs, as far as it is known. What was started is not shown before a list has it.
fn is_up(status: &CortecsInstanceStatus) -> bool {
    let is_known = status.instance_status.is_some() || status.slot().last_start_time.is_some();
    status.instance_id.is_some() && is_known && !is_stopped(status)
}

fn model(status: &CortecsInstanceStatus) -> Option<&str> {
    status.instance_args.as_ref().map(|a| a.model_id.as_str())
}

fn price<'a>(input: &'a Input<'_>, status: &CortecsInstanceStatus) -> Option<(f64, &'a str)> {
    let prices = input.account.fleet.as_ref()?.prices.as_ref()?;
    let args = status.instance_args.as_ref()?;
    let workers = args.num_workers.unwrap_or(1);
    prices.of_workers(args.hardware_type_id.as_deref()?, workers)
}

fn interval(status: &CortecsInstanceStatus) -> Option<&str> {
    let args = status.instance_args.as_ref()?;
    args.billing_interval.as_deref()
}
