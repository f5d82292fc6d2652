//! The cost of a resource by the models that it ran.

use cortecs_resources::{
    instance_status::Cost,
    money::{EarlierModel, MAX_EARLIER},
};

use super::money::{amount, decimal};

/// Stands for the models or namespaces beyond a bound.
pub const OTHER: &str = "other";

/// From now on the cost grows for this model. What it is so far stays that of the models before.
pub(super) fn switch(mut cost: Cost, model: Option<&str>) -> Cost {
    let Some(model) = model.filter(|model| cost.model_id.as_deref() != Some(model)) else {
        return cost;
    };
    let before = cost.model_id.replace(model.to_owned());
    // A status from before models were told apart has none: then it is all of this model.
    let own = of_present(&cost, amount(&cost.accrued));
    if let Some(before) = before
        && own > 0.0
        && let Some(own) = decimal(own)
    {
        let full = cost.earlier.len() + 1 >= MAX_EARLIER;
        let name = if full { OTHER } else { &before };
        match cost.earlier.iter_mut().find(|e| e.model_id == name) {
            Some(earlier) => {
                let sum = amount(&earlier.amount) + amount(&own);
                earlier.amount = decimal(sum).unwrap_or(own);
            }
            None => cost.earlier.push(EarlierModel {
                model_id: name.to_owned(),
                amount: own,
            }),
        }
    }
    cost.earlier.retain(|earlier| earlier.model_id != model);
    cost
}

/// The parts of `total`, which is `accrued` or more, by the API's id of the model. The part of the present model comes last; its id may not
/// be known.
pub(super) fn parts(cost: &Cost, total: f64) -> Vec<(Option<&str>, f64)> {
    let earlier = cost.earlier.iter();
    let mut parts: Vec<_> = earlier
        .map(|earlier| (Some(earlier.model_id.as_str()), amount(&earlier.amount)))
        .collect();
    parts.push((cost.model_id.as_deref(), of_present(cost, total)));
    parts
}

/// What of `total` is of the present model.
fn of_present(cost: &Cost, total: f64) -> f64 {
    let earlier: f64 = cost.earlier.iter().map(|e| amount(&e.amount)).sum();
    (total - earlier).max(0.0)
}
