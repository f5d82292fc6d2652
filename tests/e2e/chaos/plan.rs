//! What happens when, drawn from the seed alone: how it ends is another matter.

use std::{ops::Range, time::Duration};

use cortecs_simulator::Endpoint;
use fastrand::Rng;
use serde_json::{Value, json};

/// Models of resources whose instances go with them: few, so that many arguments are equal.
const SHARED_MODELS: [&str; 3] = [
    "microsoft/phi-4",
    "google/gemma-2-9b-it",
    "mistralai/Mistral-7B-Instruct-v0.3",
];
/// Models of those that leave a stopped instance behind. Each has its own: what is left behind belongs to nobody, and an equal
/// start with unknown outcome would take it for its own.
const OWN_MODELS: [&str; 4] = [
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
    "Qwen/Qwen2.5-72B-Instruct",
    "Qwen/Qwen2.5-Coder-32B-Instruct",
];
const MOST_WORKERS: u32 = 3;

/// Streams of one seed that do not depend on each other.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    People,
    Weather,
    Blows,
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
    /// Its instance is left behind, stopped.
    pub(super) keeps: bool,
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
            "deletionPolicy": if self.keeps { "Stop" } else { "Delete" },
        })
    }
}

/// What a person does.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Create(Wish),
    Change(Wish),
    /// Any new word.
    Restart {
        name: String,
        word: String,
    },
    Delete {
        name: String,
    },
}

/// The people of one lane: each slot holds one resource after the other.
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

    /// The next deed, and how long to wait before it. `is_free` tells whether the last resource of a slot has gone: only then the
    /// slot's own model is used again.
    pub(super) fn next(&mut self, is_free: impl Fn(usize) -> bool) -> (Duration, Option<Deed>) {
        let wait = between(&mut self.rng, 100..1_200);
        let slot = self.rng.usize(..self.slots.len());
        // Of its own, so that what is left out does not change what comes later.
        let mut rng = self.rng.fork();
        let draw = rng.u32(..100);
        let deed = match self.slots[slot].clone() {
            None => {
                let wish = self.wish(&mut rng, slot);
                if wish.keeps && !is_free(slot) {
                    return (wait, None);
                }
                self.slots[slot] = Some(wish.clone());
                Deed::Create(wish)
            }
            Some(wish) if draw < 22 => {
                self.slots[slot] = None;
                Deed::Delete { name: wish.name }
            }
            Some(wish) if draw < 38 => Deed::Restart {
                name: wish.name,
                word: rng.u32(..).to_string(),
            },
            Some(wish) => Deed::Change(self.changed(&mut rng, slot, wish)),
        };
        (wait, Some(deed))
    }

    fn wish(&mut self, rng: &mut Rng, slot: usize) -> Wish {
        self.number += 1;
        let own = (slot % 4 == 3).then(|| OWN_MODELS.get(slot / 4)).flatten();
        Wish {
            name: format!("r{slot}-{}", self.number),
            model: own
                .copied()
                .unwrap_or_else(|| SHARED_MODELS[rng.usize(..2)]),
            workers: if rng.u32(..4) == 0 { 2 } else { 1 },
            per_hour: false,
            running: rng.u32(..8) != 0,
            suspend: false,
            keeps: own.is_some(),
        }
    }

    fn changed(&mut self, rng: &mut Rng, slot: usize, mut wish: Wish) -> Wish {
        match rng.u32(..62) {
            0..26 => wish.running = !wish.running,
            26..40 => wish.workers = wish.workers % MOST_WORKERS + 1,
            40..50 => wish.suspend = !wish.suspend,
            50..57 if !wish.keeps => wish.model = SHARED_MODELS[rng.usize(..SHARED_MODELS.len())],
            _ => wish.per_hour = !wish.per_hour,
        }
        self.slots[slot] = Some(wish.clone());
        wish
    }

    /// What should be there when all has been done; nothing is suspended any more.
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

/// What befalls the processes of one lane.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    /// `upon`: then as soon as such a call arrives, if one does in time.
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
    /// As a rolling update does.
    Terminate {
        after: Duration,
    },
}

impl Blow {
    fn kills(self) -> u32 {
        match self {
            Self::KillLeader { .. } | Self::KillOther => 1,
            Self::KillBoth { .. } => 2,
            _ => 0,
        }
    }
}

/// The blows of a lane, with the time before each, and the time until what was killed is started again. Dealt from shuffled decks,
/// so that no kind is left out for long.
pub(super) fn blows(mut rng: Rng, kills: u32) -> Vec<(Blow, Duration, Duration)> {
    let (mut blows, mut dealt) = (Vec::new(), 0);
    while dealt < kills {
        for blow in deck(&mut rng) {
            dealt += blow.kills();
            let gap = between(&mut rng, 0..1_500);
            let back = between(&mut rng, 0..2_000);
            blows.push((blow, gap, back));
            if dealt >= kills {
                break;
            }
        }
    }
    blows
}

fn deck(rng: &mut Rng) -> Vec<Blow> {
    let mut deck: Vec<Blow> = (0..5)
        .map(|_| Blow::KillLeader {
            after: life(rng),
            upon: call(rng),
        })
        .collect();
    deck.extend([
        Blow::KillOther,
        Blow::KillBoth { after: life(rng) },
        Blow::PauseLeader {
            after: life(rng),
            upon: call(rng),
            pause: between(rng, 11_000..24_000),
        },
        Blow::PauseLeader {
            after: life(rng),
            upon: call(rng),
            pause: between(rng, 500..14_000),
        },
        match rng.bool() {
            true => Blow::Terminate { after: life(rng) },
            false => Blow::PauseOther {
                pause: between(rng, 1_000..24_000),
            },
        },
    ]);
    rng.shuffle(&mut deck);
    deck
}

/// How long a leader leads undisturbed: mostly shortly, sometimes long enough to give a start up.
fn life(rng: &mut Rng) -> Duration {
    let most = [500, 2_000, 6_000, 16_000][rng.usize(..4)];
    between(rng, 0..most)
}

/// The call in whose middle a blow falls, if any.
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
        let deeds: Vec<_> = (0..200).map(|_| people.next(|_| true)).collect();
        let blows = blows(rng(seed, lane, Stream::Blows), 100);
        format!("{deeds:?} {blows:?} {:?}", people.wishes())
    };
    assert_eq!(plan(7, 0), plan(7, 0));
    assert_ne!(plan(7, 0), plan(7, 1));
    assert_ne!(plan(7, 0), plan(8, 0));
}

#[test]
fn a_plan_deals_as_many_kills_as_it_should_and_leaves_no_kind_of_blow_out() {
    let blows = blows(rng(7, 0, Stream::Blows), 100);
    let kills: u32 = blows.iter().map(|(blow, ..)| blow.kills()).sum();
    assert!((100..=101).contains(&kills), "{kills}");
    let kinds: std::collections::HashSet<_> = blows
        .iter()
        .map(|(blow, ..)| std::mem::discriminant(blow))
        .collect();
    assert_eq!(kinds.len(), 6);
}
