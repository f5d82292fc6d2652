//! The cost that a status shows.

use cortecs_api::types::InstanceState;
use cortecs_resources::{
    instance_status::{CortecsInstanceStatus, Cost},
    key::ObjectKey,
};
use jiff::Timestamp;

use super::input::Input;
use crate::{
    cost::accrued::{self, Run},
    facts::home,
};

/// The cost as it should be shown with the rest of `status`.
pub(crate) fn next(input: &Input<'_>, status: &CortecsInstanceStatus) -> Option<Cost> {
    let before = status.cost.as_ref();
    // The interval of the run that ends may be that of an instance that is forgotten by now.
    let stored = input.resource.status.as_ref();
    let interval = stored.and_then(interval).or_else(|| interval(status));
    let interval = accrued::interval_seconds(interval);
    let run = run(input, status, before);
    let mut cost = accrued::next(before, run, stopped_at(status), interval, input.wall)?;
    // The account of a run that ends may be forgotten by now.
    let home = status.account.as_ref();
    let home = home.or_else(|| home::home(input.resource));
    if let Some(home) = home.filter(|_| Some(&cost) != before) {
        cost.account = Some(ObjectKey::new(&home.namespace, &home.name).to_string());
    }
    Some(cost)
}

/// What is billed now: an instance is bound, and was not seen to be stopped. `before` tells a run whose beginning the records lack.
fn run<'a>(
    input: &'a Input<'_>,
    status: &'a CortecsInstanceStatus,
    before: Option<&Cost>,
) -> Option<Run<'a>> {
    let id = status.instance_id.as_ref()?;
    let shown = status.instance_status.as_ref();
    let stopped = shown.is_none_or(|s| s.status == InstanceState::Stopped.as_str());
    let bound = input.memory.bound.as_ref();
    if stopped || bound.is_some_and(|bound| bound.id == *id && bound.deleted) {
        return None;
    }
    let asked = status.slot().last_start_time;
    // Within a run the beginning of what is shown may be later: then its price has changed.
    let shown = before.and_then(|cost| cost.since);
    let since = shown.filter(|since| asked.is_none_or(|asked| *since >= asked));
    Some(Run {
        since: since.or(asked).unwrap_or(input.wall),
        price: price(input, status),
        model: status.instance_args.as_ref().map(|a| a.model_id.as_str()),
    })
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

/// When the API says that the instance was stopped.
fn stopped_at(status: &CortecsInstanceStatus) -> Option<Timestamp> {
    let shown = status.instance_status.as_ref()?;
    shown.stopped_at.as_ref()?.parse().ok()
}
