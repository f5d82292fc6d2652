//! The cost of a resource, as its status shows it: an estimate from times and list prices.
//!
//! A run is billed from the moment at which it is asked for until its stop shows, by the started minute or hour. The status takes
//! the cost of a run when it ends; what grows meanwhile is computed by whoever reads it, from `since` and `pricePerHour`.

use cortecs_resources::instance_status::Cost;
use jiff::Timestamp;

use super::{
    by_model,
    money::{amount, decimal},
};

/// The billing of the instance that the status shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run<'a> {
    /// When it was asked for.
    pub since: Timestamp,
    /// Price of all its workers an hour, with its currency; `None` if it is not known.
    pub price: Option<(f64, &'a str)>,
    /// The API's id of its model.
    pub model: Option<&'a str>,
}

/// How long one billed interval is, by the word of the API.
pub fn interval_seconds(billing_interval: Option<&str>) -> i64 {
    match billing_interval {
        Some("per_hour") => 3600,
        _ => 60,
    }
}

/// The facts of one look at an instance.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// When the instance was last asked to run.
    pub asked: Option<Timestamp>,
    /// When the instance was stopped, if it is stopped by the word of the API.
    pub stopped: Option<Timestamp>,
    /// How long a billed interval is of the instance that the cost before is about, in seconds.
    pub interval: i64,
    pub now: Timestamp,
}

/// The cost after a look. `run`: what is billed now, if anything is.
pub fn next(before: Option<&Cost>, run: Option<Run<'_>>, look: Look) -> Option<Cost> {
    let Some(before) = before else {
        // Nothing is shown before a price is known.
        let priced = run.filter(|run| run.price.is_some());
        return priced.map(|run| begin(Cost::default(), run));
    };
    let same = run.filter(|run| before.since == Some(run.since));
    if let Some(run) = same {
        let known = run
            .price
            .and_then(|(price, currency)| Some((decimal(price)?, currency.to_owned())));
        let Some((price, currency)) = known else {
            // What was known stays shown.
            return Some(before.clone());
        };
        let (old_price, old_currency) = (&before.price_per_hour, &before.currency);
        if (old_price.as_ref(), old_currency.as_ref()) == (Some(&price), Some(&currency)) {
            return Some(before.clone());
        }
        // A price that was not known counts for all of the run; one that changed, from now on.
        let (base, since) = match old_price {
            None => (before.clone(), run.since),
            Some(_) => (end(before, Some(look.now), look.interval), look.now),
        };
        let run = Run { since, ..run };
        return Some(begin(base, run));
    }
    let ended = end(before, known_until(before, look), look.interval);
    Some(match run {
        Some(run) => begin(ended, run),
        None => ended,
    })
}

/// A run begins. Amounts in another currency cannot be added: they begin at zero.
fn begin(base: Cost, run: Run<'_>) -> Cost {
    by_model::switch(begin_priced(base, run), run.model)
}

fn begin_priced(base: Cost, run: Run<'_>) -> Cost {
    let price = run
        .price
        .and_then(|(price, currency)| Some((decimal(price)?, currency)));
    let Some((price, currency)) = price else {
        return Cost {
            since: Some(run.since),
            price_per_hour: None,
            ..base
        };
    };
    let is_other = base
        .currency
        .as_deref()
        .is_some_and(|known| known != currency);
    let base = if is_other { Cost::default() } else { base };
    Cost {
        price_per_hour: Some(price),
        currency: Some(currency.to_owned()),
        since: Some(run.since),
        ..base
    }
}

/// The run that `cost` shows ends; with `None` it was none.
fn end(cost: &Cost, at: Option<Timestamp>, interval: i64) -> Cost {
    let counted = at.filter(|_| cost.since.is_some() && cost.price_per_hour.is_some());
    Cost {
        price_per_hour: None,
        accrued: at.map_or(cost.accrued.clone(), |at| until(cost, at, interval)),
        since: None,
        until: counted.or(cost.until),
        ..cost.clone()
    }
}

/// Until when the present run is billed, as far as the look can tell. `None` if the API says that nothing has run since: then a list from before
/// the stop has shown the instance as up again.
pub fn known_until(cost: &Cost, look: Look) -> Option<Timestamp> {
    let (Some(since), Some(stopped)) = (cost.since, look.stopped) else {
        return Some(look.now);
    };
    // The clock of the API may be behind. What was asked for did run.
    let is_asked = look.asked.is_none_or(|asked| since <= asked);
    match stopped {
        _ if (since..=look.now).contains(&stopped) => Some(stopped),
        _ if stopped < since && !is_asked => None,
        _ => Some(look.now),
    }
}

/// Whether `accrued` has the run that was asked for then.
pub fn counts(cost: &Cost, asked: Timestamp) -> bool {
    match cost.until {
        Some(until) => until >= asked,
        // A status from before the end of runs was recorded.
        None => cost.since.is_none() && amount(&cost.accrued) > 0.0,
    }
}

/// What the runs have cost until `at`, the present one included: its first interval at least.
pub fn until(cost: &Cost, at: Timestamp, interval: i64) -> String {
    let of_run = cost
        .since
        .and_then(|since| cost_of_run(cost, since, at, interval));
    let sum = amount(&cost.accrued) + of_run.unwrap_or_default();
    decimal(sum).unwrap_or_else(|| cost.accrued.clone())
}

/// What a run has cost until `at`; `None` if its price is not known.
fn cost_of_run(cost: &Cost, since: Timestamp, at: Timestamp, interval: i64) -> Option<f64> {
    let price = amount(cost.price_per_hour.as_deref()?);
    let intervals = at.duration_since(since).as_secs_f64() / interval as f64;
    Some(intervals.ceil().max(1.0) * interval as f64 / 3600.0 * price)
}

#[cfg(test)]
#[path = "accrued_tests.rs"]
mod tests;
