//! How many calls a fleet may make at once: none for a while when the API asks for less or fails, then one, then more.
//!
//! Pure: no clock, no randomness. Lists have a schedule of their own ([`super::schedule`]) and need no turn here; how they end
//! counts. So the number of calls in bad times does not depend on the number of resources:
//!
//! - never more than [`MOST`] calls are under way;
//! - within any `t` of bad times, at most `4 + t / 15 s` calls are begun: one after each pause.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use cortecs_clock::Moment;
use cortecs_resources::key::ObjectKey;

/// The most calls of one fleet under way at once.
pub const MOST: usize = 8;
/// So many failures in a row that say nothing about load count as bad times: one alone may be about one resource.
const DOUBTS: u32 = 3;
/// The longest pause that the API has not asked for.
const LONGEST: Duration = Duration::from_secs(30);
/// The longest pause that the API is granted.
const LONGEST_ASKED: Duration = Duration::from_secs(300);
const SECOND: Duration = Duration::from_secs(1);

/// The state of the API, as a call or a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A call was answered, be it with a refusal that is about the call.
    Works,
    /// A list was good.
    Listed,
    /// The API asked for fewer calls, and perhaps said for how long.
    Overloaded {
        message: String,
        asked: Option<Duration>,
    },
    /// The call or list failed in another way.
    Failed { message: String },
}

/// Why a call has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// No call is made before then.
    Until(Moment),
    /// The most calls that are allowed at once are under way.
    Turn,
}

/// Which of the queued resources goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// Stops, deletes and gets: they end what is billed.
    First,
    /// Starts and restarts.
    Later,
}

/// The calls of one fleet.
#[derive(Clone, Debug)]
pub struct Pressure {
    /// How many calls may be under way.
    width: usize,
    /// The resources whose calls are under way.
    under_way: BTreeSet<ObjectKey>,
    /// The queues of resources that wait for room: those of [`Rank::Later`], and those of [`Rank::First`], which go before them.
    waiting: VecDeque<ObjectKey>,
    first: VecDeque<ObjectKey>,
    /// The resources that left a queue for their turn and have neither begun a call nor declined.
    told: BTreeSet<ObjectKey>,
    doubts: u32,
    trouble: Option<Trouble>,
}

/// Bad times: from the first pause until a call after one works.
#[derive(Clone, Debug)]
struct Trouble {
    /// The first message of the API. The message stays the same, so that the statuses that show it need not be written again.
    message: Arc<str>,
    pauses: u32,
    until: Moment,
}

impl Default for Pressure {
    fn default() -> Self {
        Self {
            width: MOST,
            under_way: BTreeSet::new(),
            waiting: VecDeque::new(),
            first: VecDeque::new(),
            told: BTreeSet::new(),
            doubts: 0,
            trouble: None,
        }
    }
}

impl Pressure {
    /// The API's message when it began to fail or to ask for fewer calls, until a call works again.
    pub fn trouble(&self) -> Option<Arc<str>> {
        self.trouble.as_ref().map(|t| Arc::clone(&t.message))
    }

    /// Until when no call is made, if that is later than now.
    pub fn paused(&self, now: Moment) -> Option<Moment> {
        let until = self.trouble.as_ref()?.until;
        (now < until).then_some(until)
    }

    /// Whether a call about this resource has to wait.
    pub fn wait(&self, key: &ObjectKey, now: Moment) -> Option<Wait> {
        match self.paused(now) {
            Some(until) => Some(Wait::Until(until)),
            None if self.under_way.contains(key) || self.room() > 0 => None,
            None => Some(Wait::Turn),
        }
    }

    /// A call about this resource is going to be made. The caller asks for that only when the call need not [`Self::wait`].
    pub fn begin(&mut self, key: &ObjectKey) {
        self.leave(key);
        self.under_way.insert(key.clone());
    }

    /// This resource waits for its turn.
    pub fn queue(&mut self, key: &ObjectKey, rank: Rank) {
        let queue = match rank {
            Rank::First => &self.first,
            Rank::Later => &self.waiting,
        };
        self.told.remove(key);
        if !queue.contains(key) {
            self.leave(key);
            match rank {
                Rank::First => self.first.push_back(key.clone()),
                Rank::Later => self.waiting.push_back(key.clone()),
            }
        }
    }

    /// This resource is gone, or wants no call any more. Returns the resource whose turn it is instead, if this one had its turn.
    pub fn decline(&mut self, key: &ObjectKey, now: Moment) -> Vec<ObjectKey> {
        let was_told = self.told.contains(key);
        self.leave(key);
        self.tell(usize::from(was_told), now)
    }

    fn leave(&mut self, key: &ObjectKey) {
        self.told.remove(key);
        self.first.retain(|waiting| waiting != key);
        self.waiting.retain(|waiting| waiting != key);
    }

    /// The call about this resource has ended. Returns the resources whose turn it is now.
    pub fn end(&mut self, key: &ObjectKey, now: Moment) -> Vec<ObjectKey> {
        self.under_way.remove(key);
        self.tell(MOST, now)
    }

    /// The next ones leave the queue: as many as there is room for, and no more than `most`.
    fn tell(&mut self, most: usize, now: Moment) -> Vec<ObjectKey> {
        if self.paused(now).is_some() {
            return Vec::new();
        }
        let room = self.room().min(most);
        let first = room.min(self.first.len());
        let then = (room - first).min(self.waiting.len());
        let first = self.first.drain(..first);
        let told: Vec<_> = first.chain(self.waiting.drain(..then)).collect();
        self.told.extend(told.iter().cloned());
        told
    }

    /// Takes note of how a call or a list ended. `random` is a fraction of [0, 1). Returns the resources that
    /// have to wait for the end of a pause now instead of for their turn.
    pub fn hear(&mut self, news: News, now: Moment, random: f64) -> Vec<ObjectKey> {
        match news {
            News::Works => self.works(now),
            News::Listed if self.trouble.is_none() => self.doubts = 0,
            News::Listed => {}
            News::Overloaded { message, asked } => return self.pause(message, asked, now, random),
            News::Failed { message } => {
                self.doubts = self.doubts.saturating_add(1);
                if self.doubts >= DOUBTS || self.trouble.is_some() {
                    return self.pause(message, None, now, random);
                }
            }
        }
        Vec::new()
    }

    fn room(&self) -> usize {
        self.width.saturating_sub(self.under_way.len())
    }

    fn works(&mut self, now: Moment) {
        // A call that was sent before a pause says nothing about the time after it.
        if self.paused(now).is_none() {
            self.trouble = None;
            self.doubts = 0;
            self.width = (self.width * 2).min(MOST);
        }
    }

    fn pause(
        &mut self,
        message: String,
        asked: Option<Duration>,
        now: Moment,
        random: f64,
    ) -> Vec<ObjectKey> {
        let random = random.clamp(0.0, 1.0);
        let asked = asked.map(|asked| asked.min(LONGEST_ASKED) + SECOND.mul_f64(random));
        let asked = now.after(asked.unwrap_or_default());
        self.width = 1;
        let trouble = self.trouble.get_or_insert_with(|| Trouble {
            message: message.into(),
            pauses: 0,
            until: Moment::default(),
        });
        if now < trouble.until {
            // Sent before the pause, or a list: it is no longer for that, unless the API asks.
            trouble.until = trouble.until.max(asked);
        } else {
            trouble.pauses = trouble.pauses.saturating_add(1);
            let doubled = 2_u32.checked_pow(trouble.pauses).unwrap_or(u32::MAX);
            let bound = SECOND.saturating_mul(doubled).min(LONGEST);
            let wait = bound.mul_f64(0.5 + 0.5 * random);
            trouble.until = now.after(wait).max(asked);
        }
        // No resource has its turn any more.
        self.told.clear();
        self.first.drain(..).chain(self.waiting.drain(..)).collect()
    }
}

#[cfg(test)]
#[path = "pressure_tests.rs"]
mod tests;
