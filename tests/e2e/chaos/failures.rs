//! The faults of the simulated API, and how long they last.

use std::{collections::BTreeMap, time::Duration};

use cortecs_simulator::{
    Effect, Endpoint, Fault, FaultBody, Handle, Notation, Omitted, RequestRecord, Rewrite, When,
};
use fastrand::Rng;
use serde_json::Value;

use super::plan::between;
use crate::harness::{Bed, CLIENT_ID, polls_every_second};

/// The longest delay of the effect of a call, and of its appearance in lists. A start is called within a quarter of the settle
/// time after its record. All three together are shorter than the settle time, as the operator requires of the API.
const LATE: Duration = Duration::from_secs(2);
const LAG: Duration = Duration::from_secs(1);
/// Longer than the request time-out.
const HANG: Duration = Duration::from_millis(1_500);

/// What happens to the account for a while.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// Its Secret is deleted.
    SecretGone,
    /// It is deleted past its finalizer.
    AccountGone,
}

/// The faults of a period of time.
#[derive(Debug)]
pub(super) struct Period {
    pub(super) lasts: Duration,
    faults: Vec<Fault>,
    lag: Option<Duration>,
    omits: Vec<Omitted>,
    rewrites: Vec<Rewrite>,
    down: bool,
    expire: bool,
    mishap: Option<Mishap>,
}

impl Period {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let lasts = between(rng, 1_000..4_000);
        let kind = rng.u32(..100);
        let number = match kind {
            0..20 => 0,
            20..28 => 1,
            _ => rng.usize(2..6),
        };
        Self {
            lasts,
            faults: (0..number).map(|_| fault(rng)).collect(),
            lag: kind
                .is_multiple_of(4)
                .then(|| between(rng, 200..LAG.as_millis() as u64)),
            omits: match kind % 3 {
                0 => vec![Omitted::NumWorkers, Omitted::WorkerStatuses],
                1 => Omitted::ALL.into_iter().filter(|_| rng.bool()).collect(),
                _ => Vec::new(),
            },
            rewrites: rewrites(kind, rng),
            down: (20..28).contains(&kind),
            expire: kind % 16 == 1,
            mishap: match kind {
                30..36 => Some(Mishap::SecretGone),
                36..42 => Some(Mishap::AccountGone),
                _ => None,
            },
        }
    }

    pub(super) async fn begin(&self, bed: &Bed, tally: &mut BTreeMap<String, u64>) {
        let api = &bed.api;
        api.clear_faults();
        for fault in &self.faults {
            api.add_fault(fault.clone());
        }
        api.set_down(self.down);
        api.set_list_lag(self.lag.unwrap_or_default());
        api.omit(self.omits.iter().copied());
        api.rewrite(self.rewrites.iter().cloned());
        let mut count = |what: &str, happens: bool| {
            if happens {
                *tally.entry(what.to_owned()).or_default() += 1;
            }
        };
        count("lists that lag, for a while", self.lag.is_some());
        count("fields left out, for a while", !self.omits.is_empty());
        let odd_states = self.rewrites.iter().any(|change| change.name == "status");
        count("states that nobody knows, for a while", odd_states);
        let notations = !odd_states && !self.rewrites.is_empty();
        count("other notations, for a while", notations);
        count("every token revoked", self.expire);
        if self.expire {
            api.expire_tokens();
        }
        match self.mishap {
            Some(Mishap::SecretGone) => {
                count("the Secret gone, for a while", true);
                bed.delete_secret().await;
            }
            Some(Mishap::AccountGone) => {
                count("the account gone by force, for a while", true);
                bed.lose_account().await;
            }
            None => {}
        }
    }

    /// What is not ended by the next period.
    pub(super) async fn end(&self, bed: &Bed) {
        match self.mishap {
            Some(Mishap::SecretGone) => bed.write_secret(CLIENT_ID, &bed.client_secret).await,
            Some(Mishap::AccountGone) => bed.create_assigned_account(polls_every_second()).await,
            None => {}
        }
    }
}

/// Ends all faults.
pub(super) fn clear(api: &Handle) {
    api.clear_faults();
    api.set_down(false);
    api.set_list_lag(Duration::ZERO);
    api.omit([]);
    api.rewrite([]);
}

/// Values that answers write otherwise: numbers in another notation, or the state of what runs by another word.
fn rewrites(kind: u32, rng: &mut Rng) -> Vec<Rewrite> {
    let rewrite = |name: &str, from: Option<Value>, to: Notation| Rewrite {
        name: name.to_owned(),
        from,
        to,
    };
    match kind % 7 {
        0 => {
            let numbers = ["current_step", "num_steps", "context_length", "num_workers"];
            let notations = [Notation::Fraction, Notation::Text];
            let notation = |name| {
                let to = notations[rng.usize(..notations.len())].clone();
                rewrite(name, None, to)
            };
            numbers.map(notation).into()
        }
        1 => {
            let word = ["failed", "resting", "Error: unknown"][rng.usize(..3)];
            let to = Notation::Value(Value::from(word));
            vec![rewrite("status", Some(Value::from("running")), to)]
        }
        _ => Vec::new(),
    }
}

fn fault(rng: &mut Rng) -> Fault {
    let endpoint = [
        Endpoint::Start,
        Endpoint::Start,
        Endpoint::Start,
        Endpoint::Start,
        Endpoint::Start,
        Endpoint::Restart,
        Endpoint::Stop,
        Endpoint::Stop,
        Endpoint::Delete,
        Endpoint::Delete,
        Endpoint::ListInstances,
        Endpoint::GetInstance,
        Endpoint::GetModel,
        Endpoint::Token,
    ][rng.usize(..14)];
    let effects = effects(endpoint);
    let effect = effects[rng.usize(..effects.len())].clone();
    let probability = match endpoint {
        Endpoint::ListInstances | Endpoint::Token => 0.3,
        _ => 0.2 + 0.6 * rng.f64(),
    };
    Fault::new(endpoint, effect).probability(probability)
}

/// The faults that a call to the endpoint may meet. None is a refusal that a person would have to react to, and none is a refusal
/// of a call that had its effect, since no client could notice the effect.
fn effects(endpoint: Endpoint) -> Vec<Effect> {
    use When::{After, Before};
    let mut effects = vec![
        Effect::fail(500, "Internal error"),
        Effect::fail(503, "Service temporarily unavailable"),
        Effect::html(Before, 502),
        Effect::close(Before),
        Effect::reset(Before),
        Effect::reset(After),
        Effect::delay(Before, HANG),
        Effect::MalformedBody,
        Effect::TruncatedBody,
        Effect::WithoutInstance,
        Effect::rate_limit(Duration::from_secs(1)),
    ];
    if endpoint.needs_token() {
        effects.push(Effect::ExpireToken);
    }
    if endpoint == Endpoint::ListInstances {
        effects.push(Effect::CutList);
    }
    if endpoint == Endpoint::GetInstance {
        effects.push(Effect::fail(400, "Bad request"));
        effects.push(Effect::fail(404, "Not found"));
    }
    if matches!(endpoint, Endpoint::Stop | Endpoint::Delete) {
        effects.push(Effect::fail(400, "Bad request"));
        effects.push(Effect::fail_after(404, "Not found"));
        effects.push(Effect::accept(LATE));
    }
    let changes = [
        Endpoint::Start,
        Endpoint::Restart,
        Endpoint::Stop,
        Endpoint::Delete,
    ];
    if changes.contains(&endpoint) {
        effects.extend([
            Effect::html(After, 502),
            Effect::html(After, 504),
            Effect::fail_after(500, "Internal error"),
            Effect::fail(402, "Payment required"),
            Effect::fail_after(402, "Payment required"),
            Effect::fail(409, "Conflict"),
            Effect::fail_after(409, "Conflict"),
            Effect::fail_after(408, "Request timeout"),
            Effect::redirect(307, "/api/v1/instances/start"),
            Effect::Answer {
                when: After,
                status: 302,
                body: FaultBody::Empty,
                retry_after: None,
                location: Some("/elsewhere".to_owned()),
            },
            Effect::close(After),
            Effect::delay(After, LATE),
            Effect::HugeBody { bytes: 3 << 20 },
            Effect::success(201),
            Effect::success_with(202, FaultBody::Message("Accepted".to_owned())),
            Effect::success_with(204, FaultBody::Empty),
            Effect::success_with(200, FaultBody::Empty),
        ]);
        // These faults are more likely than the others: for a while they look as if the call had no effect.
        effects.extend(std::iter::repeat_n(Effect::delay(Before, LATE), 6));
        effects.extend(std::iter::repeat_n(Effect::delay(Before, HANG), 3));
    }
    effects
}

/// The fault that the request met, without its number.
pub(super) fn kind(request: &RequestRecord) -> Option<String> {
    let fault = request.fault.as_deref()?;
    let kind = match fault.split_once(' ') {
        Some((number, kind)) if number.starts_with('#') => kind,
        _ => fault,
    };
    Some(kind.to_owned())
}

#[test]
fn no_effect_is_later_than_the_settle_time_promises() {
    let young = super::SETTLE / 4;
    assert!(young + LATE + LAG < super::SETTLE);
}
