//! The events of a run and their times, drawn from the seed.

use std::{ops::Range, time::Duration};

use cortecs_resources::instance::DeletionPolicy;
use cortecs_simulator::Endpoint;
use fastrand::Rng;
use serde_json::{Value, json};

/// The models. They are few, so that many resources have equal arguments, and an instance that is left behind looks like what others
/// start.
const MODELS: [&str; 3] = [
    "microsoft/phi-4",
    "google/gemma-2-9b-it",
    "mistralai/Mistral-7B-Instruct-v0.3",
];
const MOST_WORKERS: u32 = 3;

/// Random numbers of one seed that do not depend on each other.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    People,
    Failures,
    Disruptions,
}

pub(super) fn rng(seed: u64, lane: usize, stream: Stream) -> Rng {
    let mut root = Rng::with_seed(seed ^ (lane as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut streams = [root.fork(), root.fork(), root.fork()];
    std::mem::replace(&mut streams[stream as usize], root)
}

pub(super) fn between(rng: &mut Rng, range: Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

/// What a resource should be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) model: &'static str,
    pub(super) workers: u32,
    pub(super) per_hour: bool,
    pub(super) running: bool,
    pub(super) suspend: bool,
    pub(super) policy: DeletionPolicy,
}

impl Wish {
    pub(super) fn model_id(&self) -> String {
        self.model.replace('/', "--")
    }

    pub(super) fn billing(&self) -> &'static str {
        if self.per_hour {
            "per_hour"
        } else {
            "per_minute"
        }
    }

    pub(super) fn spec(&self) -> Value {
        json!({
            "modelId": self.model,
            "numWorkers": self.workers,
            "billingInterval": self.billing(),
            "state": if self.running { "Running" } else { "Stopped" },
            "suspend": self.suspend,
            "deletionPolicy": self.policy,
        })
    }
}

/// An action of a person.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Create(Wish),
    Change(Wish),
    /// Sets the restart annotation to a new word.
    Restart {
        name: String,
        word: String,
    },
    Delete {
        name: String,
    },
}

/// The people of one lane. Each slot holds one resource after the other.
pub(super) struct People {
    rng: Rng,
    slots: Vec<Option<Wish>>,
    number: u32,
}

impl People {
    pub(super) fn new(rng: Rng, slots: usize) -> Self {
        Self {
            rng,
            slots: vec![None; slots],
            number: 0,
        }
    }

    /// The next action, and how long to wait before it.
    pub(super) fn next(&mut self) -> (Duration, Action) {
        let wait = between(&mut self.rng, 100..1_200);
        let slot = self.rng.usize(..self.slots.len());
        // Each action has its own generator, so that a action that is left out does not change the later ones.
        let mut rng = self.rng.fork();
        let draw = rng.u32(..100);
        let action = match self.slots[slot].clone() {
            None => {
                let wish = self.wish(&mut rng, slot);
                self.slots[slot] = Some(wish.clone());
                Action::Create(wish)
            }
            Some(wish) if draw < 22 => {
                self.slots[slot] = None;
                Action::Delete { name: wish.name }
            }
            Some(wish) if draw < 38 => Action::Restart {
                name: wish.name,
                word: rng.u32(..).to_string(),
            },
            Some(wish) => Action::Change(self.changed(&mut rng, slot, wish)),
        };
        (wait, action)
    }

    fn wish(&mut self, rng: &mut Rng, slot: usize) -> Wish {
        self.number += 1;
        Wish {
            name: format!("r{slot}-{}", self.number),
            model: MODELS[rng.usize(..2)],
            workers: if rng.u32(..4) == 0 { 2 } else { 1 },
            per_hour: false,
            running: rng.u32(..8) != 0,
            suspend: false,
            policy: match slot % 4 {
                2 => DeletionPolicy::Orphan,
                3 => DeletionPolicy::Stop,
                _ => DeletionPolicy::Delete,
            },
        }
    }

    fn changed(&mut self, rng: &mut Rng, slot: usize, mut wish: Wish) -> Wish {
        match rng.u32(..62) {
            0..26 => wish.running = !wish.running,
            26..40 => wish.workers = wish.workers % MOST_WORKERS + 1,
            40..50 => wish.suspend = !wish.suspend,
            50..57 if wish.policy == DeletionPolicy::Delete => {
                wish.model = MODELS[rng.usize(..MODELS.len())]
            }
            _ => wish.per_hour = !wish.per_hour,
        }
        self.slots[slot] = Some(wish.clone());
        wish
    }

    /// The resources that should exist in the end. None of them is suspended any more.
    pub(super) fn wishes(&mut self) -> Vec<Wish> {
        let wishes = self.slots.iter_mut().flatten();
        wishes
            .map(|wish| {
                wish.suspend = false;
                wish.clone()
            })
            .collect()
    }
}

/// What happens to the processes of one lane.
#[derive(Clone, Copy, Debug)]
pub(super) enum Disruption {
    /// With `upon`: as soon as the API gets such a call, or after a while without one.
    KillLeader {
        after: Duration,
        upon: Option<Endpoint>,
    },
    KillOther,
    KillBoth {
        after: Duration,
    },
    PauseLeader {
        after: Duration,
        upon: Option<Endpoint>,
        pause: Duration,
    },
    PauseOther {
        pause: Duration,
    },
    /// Sends SIGTERM, as a rolling update does.
    Terminate {
        after: Duration,
    },
}

impl Disruption {
    fn kills(self) -> u32 {
        match self {
            Self::KillLeader { .. } | Self::KillOther => 1,
            Self::KillBoth { .. } => 2,
            _ => 0,
        }
    }
}

/// The disruptions of a lane, with the time before each, and the time until a killed process is started again. They come in shuffled
/// sets of all kinds, so that each kind comes soon.
pub(super) fn disruptions(mut rng: Rng, kills: u32) -> Vec<(Disruption, Duration, Duration)> {
    let (mut disruptions, mut dealt) = (Vec::new(), 0);
    while dealt < kills {
        for disruption in deck(&mut rng) {
            dealt += disruption.kills();
            let gap = between(&mut rng, 0..1_500);
            let back = between(&mut rng, 0..2_000);
            disruptions.push((disruption, gap, back));
            if dealt >= kills {
                break;
            }
        }
    }
    disruptions
}

fn deck(rng: &mut Rng) -> Vec<Disruption> {
    let mut deck: Vec<Disruption> = (0..5)
        .map(|_| Disruption::KillLeader {
            after: life(rng),
            upon: call(rng),
        })
        .collect();
    deck.extend([
        Disruption::KillOther,
        Disruption::KillBoth { after: life(rng) },
        Disruption::PauseLeader {
            after: life(rng),
            upon: call(rng),
            pause: between(rng, 11_000..24_000),
        },
        Disruption::PauseLeader {
            after: life(rng),
            upon: call(rng),
            pause: between(rng, 500..14_000),
        },
        match rng.bool() {
            true => Disruption::Terminate { after: life(rng) },
            false => Disruption::PauseOther {
                pause: between(rng, 1_000..24_000),
            },
        },
    ]);
    rng.shuffle(&mut deck);
    deck
}

/// How long a leader stays undisturbed: mostly a short time, sometimes long enough to give a start up.
fn life(rng: &mut Rng) -> Duration {
    let most = [500, 2_000, 6_000, 16_000][rng.usize(..4)];
    between(rng, 0..most)
}

/// The call that a disruption waits for, if any.
fn call(rng: &mut Rng) -> Option<Endpoint> {
    let calls = [
        Endpoint::Start,
        Endpoint::Start,
        Endpoint::Restart,
        Endpoint::Stop,
        Endpoint::Delete,
    ];
    calls.get(rng.usize(..8)).copied()
}

#[test]
fn the_same_seed_gives_the_same_plan_and_another_seed_or_lane_another() {
    let plan = |seed, lane| {
        let mut people = People::new(rng(seed, lane, Stream::People), 8);
        let actions: Vec<_> = (0..200).map(|_| people.next()).collect();
        let disruptions = disruptions(rng(seed, lane, Stream::Disruptions), 100);
        format!("{actions:?} {disruptions:?} {:?}", people.wishes())
    };
    assert_eq!(plan(7, 0), plan(7, 0));
    assert_ne!(plan(7, 0), plan(7, 1));
    assert_ne!(plan(7, 0), plan(8, 0));
}

#[test]
fn a_plan_deals_as_many_kills_as_it_should_and_leaves_no_kind_of_disruption_out() {
    let disruptions = disruptions(rng(7, 0, Stream::Disruptions), 100);
    let kills: u32 = disruptions
        .iter()
        .map(|(disruption, ..)| disruption.kills())
        .sum();
    assert!((100..=101).contains(&kills), "{kills}");
    let kinds: std::collections::HashSet<_> = disruptions
        .iter()
        .map(|(disruption, ..)| std::mem::discriminant(disruption))
        .collect();
    assert_eq!(kinds.len(), 6);
}
