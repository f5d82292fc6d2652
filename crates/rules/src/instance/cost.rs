//! The cost that a status shows.

use cortecs_api::types::InstanceState;
use cortecs_resources::instance_status::{CortecsInstanceStatus, Cost};
use jiff::Timestamp;

use super::draft::Draft;
use crate::cost::accrued::{self, Run};

/// The cost as it should be shown with the rest of the status.
pub(crate) fn next(draft: &Draft<'_>) -> Option<Cost> {
    let before = draft.status.cost.as_ref();
    let now = draft.input.wall;
    // The interval of the run that ends may be that of an instance that is forgotten by now.
    let stored = draft.input.resource.status.as_ref();
    let interval = stored
        .and_then(interval)
        .or_else(|| interval(&draft.status));
    let interval = accrued::interval_seconds(interval);
    let stopped = stopped_at(&draft.status);
    accrued::next(before, run(draft, before), stopped, interval, now)
}

/// What is billed now: an instance is bound, and was not seen to be stopped. `before` tells a run whose beginning the records lack.
fn run<'a>(draft: &'a Draft<'_>, before: Option<&Cost>) -> Option<Run<'a>> {
    let status = &draft.status;
    let shown = status.instance_status.as_ref();
    let stopped = shown.is_none_or(|s| s.status == InstanceState::Stopped.as_str());
    if status.instance_id.is_none() || stopped || draft.bound().is_some_and(|b| b.deleted) {
        return None;
    }
    let asked = status.slot().last_start_time.unwrap_or(draft.input.wall);
    // Within a run the beginning of what is shown may be later: then its price has changed.
    let since = before
        .and_then(|cost| cost.since)
        .filter(|since| *since >= asked);
    Some(Run {
        since: since.unwrap_or(asked),
        price: price(draft),
    })
}

fn price<'a>(draft: &'a Draft<'_>) -> Option<(f64, &'a str)> {
    let prices = draft.input.account.fleet.as_ref()?.prices.as_ref()?;
    let args = draft.status.instance_args.as_ref()?;
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
