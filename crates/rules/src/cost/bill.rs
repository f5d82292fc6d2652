//! What a resource has cost, and the sums that an account keeps of the resources that are gone.

use cortecs_api::fit;
use cortecs_resources::{
    CortecsInstance,
    account::CortecsAccountStatus,
    instance_status::CortecsInstanceStatus,
    key::ObjectKey,
    money::{MAX_SETTLED, MAX_SPENT, Spent},
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    accrued,
    by_model::{OTHER, parts},
    money::{amount, decimal, is_code},
};
use crate::facts::args::{MAX_ID, normalise_model_id};

/// How many entries of `spent` may name both a namespace and a model, and how many a namespace at least. The rest is for what is beyond.
const MAX_BY_MODEL: usize = MAX_SPENT - 50;
const MAX_BY_NAMESPACE: usize = MAX_SPENT - 10;
/// Settled uids of resources that are gone stay in the status while there are no more than so many: their removal is not worth a write.
const KEPT: usize = 64;

/// What a resource has cost until some moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Bill {
    pub uid: String,
    pub resource: ObjectKey,
    pub currency: String,
    /// By the API's id of the model.
    pub parts: Vec<(String, f64)>,
}

impl Bill {
    /// What the resource with this status has cost until `at`, or for the first interval of its present run. `None` if it has no cost.
    pub fn of(
        resource: &CortecsInstance,
        status: &CortecsInstanceStatus,
        at: Option<Timestamp>,
    ) -> Option<Self> {
        let cost = status.cost.as_ref()?;
        let currency = cost.currency.clone().filter(|code| is_code(code))?;
        let args = status.instance_args.as_ref();
        let interval = args.and_then(|args| args.billing_interval.as_deref());
        let total = amount(&accrued::until(
            cost,
            at,
            accrued::interval_seconds(interval),
        ));
        let parts = parts(cost, total).into_iter();
        let parts = parts.filter(|(_, amount)| *amount > 0.0);
        let parts: Vec<_> = parts
            .map(|(model, amount)| (model_label(model, resource), amount))
            .collect();
        (!parts.is_empty()).then(|| Self {
            uid: resource.uid().unwrap_or_default(),
            resource: ObjectKey::of(resource),
            currency,
            parts,
        })
    }
}

fn model_label(model: Option<&str>, resource: &CortecsInstance) -> String {
    let model = model.map(str::to_owned);
    let model = model.unwrap_or_else(|| normalise_model_id(&resource.spec.model_id));
    fit(&model, MAX_ID)
}

/// The next step of the settlement of an account.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settlement {
    /// To be added to `spent`.
    pub bills: Vec<Bill>,
    /// The settled uids of resources that are gone.
    pub gone: Vec<String>,
}

/// What the status of an account records of the resources that are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    pub spent: Vec<Spent>,
    pub settled: Vec<String>,
}

impl Recorded {
    pub fn of(status: &CortecsAccountStatus) -> Self {
        Self {
            spent: status.spent.clone(),
            settled: status.settled.clone(),
        }
    }
}

/// `spent` and `settled` of an account's status after the settlement. A bill that is settled already is not added again.
pub fn settle(
    spent: &[Spent],
    settled: &[String],
    settlement: &Settlement,
) -> (Vec<Spent>, Vec<String>) {
    let (mut spent, mut uids) = (spent.to_vec(), settled.to_vec());
    let open = |bill: &&Bill| !settled.contains(&bill.uid);
    let mut bills = settlement.bills.iter().filter(open).peekable();
    if bills.peek().is_some() || uids.len() > KEPT {
        let billed = |uid: &String| settlement.bills.iter().any(|bill| bill.uid == *uid);
        uids.retain(|uid| billed(uid) || !settlement.gone.contains(uid));
    }
    let room = MAX_SETTLED.saturating_sub(uids.len());
    for bill in bills.take(room) {
        if uids.contains(&bill.uid) {
            continue;
        }
        for (model, amount) in &bill.parts {
            add(
                &mut spent,
                &bill.resource.namespace,
                model,
                &bill.currency,
                *amount,
            );
        }
        uids.push(bill.uid.clone());
    }
    (spent, uids)
}

fn add(spent: &mut Vec<Spent>, namespace: &str, model: &str, currency: &str, more: f64) {
    let places = [
        (namespace, model, MAX_BY_MODEL),
        (namespace, OTHER, MAX_BY_NAMESPACE),
        (OTHER, OTHER, MAX_SPENT),
    ];
    for (namespace, model, most) in places {
        let is_here = |entry: &&mut Spent| {
            (
                entry.namespace.as_str(),
                entry.model_id.as_str(),
                entry.currency.as_str(),
            ) == (namespace, model, currency)
        };
        if let Some(entry) = spent.iter_mut().find(is_here) {
            let sum = decimal(amount(&entry.amount) + more);
            entry.amount = sum.unwrap_or_else(|| entry.amount.clone());
            return;
        }
        if spent.len() < most {
            let amount = decimal(more).unwrap_or_default();
            spent.push(Spent {
                namespace: namespace.to_owned(),
                model_id: model.to_owned(),
                currency: currency.to_owned(),
                amount,
            });
            return;
        }
    }
}

#[cfg(test)]
#[path = "bill_tests.rs"]
mod tests;
