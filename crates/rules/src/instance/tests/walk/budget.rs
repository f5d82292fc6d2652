//! A walk in an account with a budget.

use cortecs_resources::budget::Budget;

use super::*;

/// The price of a worker per hour.
const PRICE: f64 = 1.2;

impl Walk {
    /// The account gets a budget for so many workers. A quarter of the resources ask for two.
    pub(super) fn limit(&mut self, workers: u32) {
        let most = format!("{:.2}", PRICE * f64::from(workers));
        let budget = Budget {
            max_price_per_hour: Some(most),
            currency: "EUR".to_owned(),
            min_balance: None,
        };
        let account = ObjectKey::new("ns", "main");
        self.around.account.budgets = vec![(account, budget)];
        self.budget = Some(workers);
    }

    pub(super) fn lift_budget(&mut self) {
        self.around.account.budgets.clear();
    }

    /// Nobody who fits waits.
    pub(super) fn check_waits(&self, seed: u64) {
        let left = self
            .budget
            .unwrap_or_default()
            .saturating_sub(self.api.billed_workers());
        for (key, object) in &self.server.objects {
            let conditions = &object.status.as_ref().unwrap().conditions;
            let waits = conditions.iter().any(|c| c.reason == "WaitingForBudget");
            let workers = u32::try_from(object.spec.num_workers).unwrap();
            assert!(
                !waits || workers > left,
                "seed {seed}: {key} waits with {workers} workers, and there is room for {left}\n{}",
                self.log.join("\n")
            );
        }
    }

    /// What is billed at the API, by whichever calls, keeps to the budget.
    pub(super) fn check_budget(&self, seed: u64) {
        let Some(most) = self.budget else { return };
        let billed = self.api.billed_workers();
        assert!(
            billed <= most,
            "seed {seed}: {billed} workers are billed, and the budget is for {most}\n{}",
            self.log.join("\n")
        );
    }
}
