//! What a resource has cost, and the sums that an account keeps of the resources that are gone.

use cortecs_api::{fit, types::Instance};
use cortecs_resources::{
    CortecsInstance,
    account::CortecsAccountStatus,
    instance_status::CortecsInstanceStatus,
    key::ObjectKey,
    money::{MAX_SETTLED, Spent},
};
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    accrued::{self, Look},
    by_model::parts,
    labels::Labels,
    money::{amount, decimal, is_code},
};
use crate::facts::{
    args::{MAX_ID, normalise_model_id},
    home::{home_account, named_account},
};

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
    /// What the resource with this status has cost until `at`, or until its instance was stopped by what is `listed` at that time. A list that
    /// lacks the instance does not prove that it is gone. `None` if the resource has no cost.
    pub fn of(
        resource: &CortecsInstance,
        status: &CortecsInstanceStatus,
        listed: Option<&Instance>,
        at: Timestamp,
    ) -> Option<Self> {
        let cost = status.cost.as_ref()?;
        let currency = cost.currency.clone().filter(|code| is_code(code))?;
        let args = status.instance_args.as_ref();
        let interval = args.and_then(|args| args.billing_interval.as_deref());
        let stopped = listed
            .filter(|instance| instance.is_stopped())
            .and_then(|instance| instance.instance_status.stopped_at.as_deref())
            .and_then(|stopped| stopped.parse().ok());
        let look = Look {
            asked: status.slot().last_start_time,
            stopped,
            interval: accrued::interval_seconds(interval),
            now: at,
        };
        let until = accrued::known_until(cost, look);
        let total = match until {
            Some(until) => amount(&accrued::until(cost, until, look.interval)),
            None => amount(&cost.accrued),
        };
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

/// The account that pays for a resource: the one in which its instance lives, or else the one in which its last run was. What the resource
/// names says nothing, since anybody may name any account; for a cost from before accounts were recorded, one in its own namespace
/// counts.
pub fn payer(resource: &CortecsInstance, default: Option<&ObjectKey>) -> Option<ObjectKey> {
    home_account(resource).or_else(|| {
        let cost = resource.status.as_ref()?.cost.as_ref()?;
        match &cost.account {
            Some(account) => account.parse().ok(),
            None => named_account(resource, default)
                .filter(|named| Some(&named.namespace) == resource.metadata.namespace.as_ref()),
        }
    })
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

    /// What the object that a write returned lacks of this.
    pub fn missing(&self, returned: Option<&CortecsAccountStatus>) -> Option<&'static str> {
        let returned = returned.map(Self::of).unwrap_or_default();
        let (spent, settled) = (
            returned.spent == self.spent,
            returned.settled == self.settled,
        );
        match (spent, settled) {
            (true, true) => None,
            (true, false) => Some("status.settled"),
            (false, true) => Some("status.spent"),
            (false, false) => Some("status.spent and status.settled"),
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
            let labels = Labels {
                namespace: bill.resource.namespace.clone(),
                model: model.clone(),
                currency: bill.currency.clone(),
            };
            add(&mut spent, labels, *amount);
        }
        uids.push(bill.uid.clone());
    }
    (spent, uids)
}

fn add(spent: &mut Vec<Spent>, labels: Labels, more: f64) {
    let is_of = |entry: &Spent, labels: &Labels| {
        let Labels {
            namespace,
            model,
            currency,
        } = labels;
        (&entry.namespace, &entry.model_id, &entry.currency) == (namespace, model, currency)
    };
    let is_known = |labels: &Labels| spent.iter().any(|entry| is_of(entry, labels));
    let Some(labels) = labels.bounded(spent.len(), is_known) else {
        return;
    };
    if let Some(entry) = spent.iter_mut().find(|entry| is_of(entry, &labels)) {
        let sum = decimal(amount(&entry.amount) + more);
        entry.amount = sum.unwrap_or_else(|| entry.amount.clone());
        return;
    }
    spent.push(Spent {
        namespace: labels.namespace,
        model_id: labels.model,
        currency: labels.currency,
        amount: decimal(more).unwrap_or_default(),
    });
}

#[cfg(test)]
#[path = "bill_tests.rs"]
mod tests;
