//! The gets of an instance that lists show.

use std::time::Duration;

use cortecs_clock::Moment;

/// The result of the gets of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// When the last get was sent.
    pub asked: Moment,
    pub answer: Answer,
    /// Gets in a row that did not find it or failed, and when the first of them was sent.
    pub failures: u32,
    pub first_failed: Moment,
}

/// The result of a get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Found,
    /// A 400 or 404.
    NotFound,
    /// The get failed otherwise, which says nothing about the instance.
    Failed,
}

impl Lookup {
    /// The longest pause between two gets of an instance that the API does not find.
    const MOST_PAUSE: Duration = Duration::from_secs(60);

    /// The lookup after one more get, sent at `asked`.
    pub fn next(before: Option<&Self>, asked: Moment, answer: Answer) -> Self {
        let found = answer == Answer::Found;
        let before = before.filter(|before| before.answer != Answer::Found && !found);
        Self {
            asked,
            answer,
            failures: before.map_or(0, |before| before.failures) + u32::from(!found),
            first_failed: before.map_or(asked, |before| before.first_failed),
        }
    }

    pub fn is_found(&self) -> bool {
        self.answer == Answer::Found
    }

    pub fn is_missing(&self) -> bool {
        self.answer == Answer::NotFound
    }

    /// Whether the API is to be asked again for an instance that no get has found and that a later list, asked for at
    /// `listed_at`, shows.
    pub fn is_due(&self, now: Moment, listed_at: Moment) -> bool {
        now >= self.retry_at() && listed_at > self.asked
    }

    /// How long to wait before that, at least a second.
    pub fn wait(&self, now: Moment) -> Duration {
        self.retry_at().since(now).max(Duration::from_secs(1))
    }

    /// Whether no get has found the instance for so long.
    pub fn lasts(&self, settle: Duration, now: Moment) -> bool {
        !self.is_found() && now >= self.first_failed.after(settle)
    }

    /// When the API is asked again for an instance that no get has found.
    pub fn retry_at(&self) -> Moment {
        let pause = Duration::from_secs(1 << self.failures.min(6));
        self.asked.after(pause.min(Self::MOST_PAUSE))
    }
}
