//! A start or a restart that waits for the account's budget.

use std::time::Duration;

use cortecs_clock::Moment;

use super::fleet_key::FleetKey;

/// How soon a resource that waits for the budget looks again.
pub const LOOK: Duration = Duration::from_secs(15);

/// A start or a restart that waits for the budget.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetWait {
    pub fleet: FleetKey,
    /// What it would cost per hour, in millionths of the budget's currency.
    pub price: i64,
    /// When that was last found.
    pub looked_at: Moment,
    /// When the sums that the status shows were found. They are not written again at every look.
    pub shown_at: Moment,
}

impl BudgetWait {
    /// Whether the resource still waits, as far as is known: it looks again and again.
    pub fn lasts(&self, now: Moment) -> bool {
        now <= self.looked_at.after(3 * LOOK)
    }

    /// Whether the sums that are shown are not worth another write yet.
    pub fn is_shown(&self, now: Moment) -> bool {
        now < self.shown_at.after(4 * LOOK)
    }
}
