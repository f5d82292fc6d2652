//! The cost of an account's instances per hour, by the API's list of prices.

use std::collections::BTreeMap;

use cortecs_api::{
    fit,
    types::{HardwareType, Instance, InstanceState},
};
use cortecs_resources::account::PricePerHour;

use super::{
    labels::{Labels, NONE},
    money::{Micros, Money, decimal, is_code, micros},
};
use crate::facts::args::MAX_ID;

/// Most currencies that are told apart.
pub const MAX_CURRENCIES: usize = 8;
/// Most hardware types whose prices are metrics.
pub const MAX_HARDWARE: usize = 200;

/// Prices of one worker an hour, by hardware type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices {
    /// By hardware type id: the price and its currency, an ISO 4217 code.
    by_hardware: BTreeMap<String, (f64, String)>,
}

impl Prices {
    /// Takes from the catalog what has a price that makes sense.
    pub fn of(catalog: Vec<HardwareType>) -> Self {
        let mut currencies = Vec::new();
        let priced = |hardware: HardwareType| {
            let info = hardware.price_info?;
            let by_minute = info.price_per_minute.map(|minute| minute * 60.0);
            let price = info.price_per_hour.or(by_minute)?;
            let currency = info.currency?;
            if !is_code(&currency) || !price.is_finite() || price < 0.0 {
                return None;
            }
            if !currencies.contains(&currency) {
                if currencies.len() == MAX_CURRENCIES {
                    return None;
                }
                currencies.push(currency.clone());
            }
            Some((hardware.hardware_type_id, (price, currency)))
        };
        Self {
            by_hardware: catalog.into_iter().filter_map(priced).collect(),
        }
    }

    /// The cost of these instances per hour in their present state, by the namespace of the resource that claims each, its model and its
    /// currency: the sum over the workers of billed instances on hardware whose price is known. A currency in which nothing is billed now
    /// has a zero.
    pub fn per_hour<'a>(
        &self,
        instances: impl IntoIterator<Item = (&'a Instance, Option<String>)>,
    ) -> BTreeMap<Labels, f64> {
        let mut sums: BTreeMap<Labels, f64> = BTreeMap::new();
        for (instance, namespace) in instances {
            let Some((price, currency)) = self.of_instance(instance) else {
                continue;
            };
            let labels = Labels {
                namespace: namespace.unwrap_or_else(|| NONE.to_owned()),
                model: fit(&instance.instance_args.model_id, MAX_ID),
                currency: currency.to_owned(),
            };
            let is_known = |labels: &Labels| sums.contains_key(labels);
            if let Some(labels) = labels.bounded(sums.len(), is_known) {
                *sums.entry(labels).or_default() += price;
            }
        }
        for (_, currency) in self.by_hardware.values() {
            if !sums.keys().any(|labels| labels.currency == *currency) {
                let nothing = Labels {
                    namespace: NONE.to_owned(),
                    model: NONE.to_owned(),
                    currency: currency.clone(),
                };
                sums.insert(nothing, 0.0);
            }
        }
        sums
    }

    /// The prices of one worker an hour: the hardware type, the price and its currency. At most [`MAX_HARDWARE`].
    pub fn of_hardware(&self) -> impl Iterator<Item = (&str, f64, &str)> {
        let prices = self.by_hardware.iter().take(MAX_HARDWARE);
        prices.map(|(id, (price, currency))| (id.as_str(), *price, currency.as_str()))
    }

    /// The price per hour of so many workers on this hardware, with its currency; none if it is not known.
    pub fn of_workers(&self, hardware: &str, workers: i64) -> Option<(f64, &str)> {
        let (price, currency) = self.by_hardware.get(hardware)?;
        Some((price * workers as f64, currency))
    }

    /// The exact price per hour of so many workers on this hardware. `None` if it is not known in this currency.
    pub fn in_currency(
        &self,
        hardware: Option<&str>,
        workers: i64,
        currency: &str,
    ) -> Option<Micros> {
        let (price, of_price) = self.by_hardware.get(hardware?)?;
        let price = micros(*price).filter(|_| of_price == currency)?;
        price.checked_mul(workers)
    }

    /// The price per hour of an instance in its present state, as a status shows it; none if it is not billed or the price is not known.
    pub fn shown_for(&self, instance: &Instance) -> Option<Money> {
        let (price, currency) = self.of_instance(instance)?;
        Some(Money {
            amount: decimal(price)?,
            currency: currency.to_owned(),
        })
    }

    /// The price per hour of an instance in its present state, with its currency; none if it is not billed or the price is not known.
    fn of_instance(&self, instance: &Instance) -> Option<(f64, &str)> {
        let billed = matches!(
            instance.instance_status.status,
            InstanceState::Pending | InstanceState::Running
        );
        let args = &instance.instance_args;
        let hardware = args.hardware_type_id.as_ref().filter(|_| billed)?;
        let (price, currency) = self.by_hardware.get(hardware)?;
        let workers = args.num_workers.unwrap_or(1);
        Some((price * f64::from(workers), currency))
    }

    /// The cost of these instances per hour, those that resources claim and the others apart. A currency in which nothing is billed now is
    /// left out.
    pub fn shown<'a>(
        &self,
        instances: impl IntoIterator<Item = (&'a Instance, bool)>,
    ) -> Vec<PricePerHour> {
        let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (instance, is_claimed) in instances {
            if let Some((price, currency)) = self.of_instance(instance) {
                let (managed, unmanaged) = sums.entry(currency).or_default();
                *(if is_claimed { managed } else { unmanaged }) += price;
            }
        }
        let shown = sums
            .into_iter()
            .filter_map(|(currency, (managed, unmanaged))| {
                Some(PricePerHour {
                    currency: currency.to_owned(),
                    managed: decimal(managed)?,
                    unmanaged: decimal(unmanaged)?,
                })
            });
        shown.collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn prices(catalog: Value) -> Prices {
        Prices::of(serde_json::from_value(catalog).unwrap())
    }

    fn instance(hardware: Option<&str>, workers: Option<u32>, state: &str) -> Instance {
        serde_json::from_value(json!({
            "instance_id": "i",
            "instance_args": { "model_id": "m", "hardware_type_id": hardware, "num_workers": workers },
            "instance_status": { "status": state },
            "worker_statuses": [],
        }))
        .unwrap()
    }

    fn hardware(id: &str, hour: Value, currency: &str) -> Value {
        json!({ "hardware_type_id": id, "price_info": { "price_per_hour": hour, "currency": currency } })
    }

    #[test]
    fn each_worker_of_what_is_billed_counts() {
        let prices = prices(json!([
            hardware("L4", json!(1.25), "EUR"),
            hardware("H100", json!(4), "USD"),
            { "hardware_type_id": "L40S", "price_info": { "price_per_minute": 0.5, "currency": "EUR" } },
        ]));
        let instances = [
            instance(Some("L4"), Some(3), "running"),
            instance(Some("L4"), None, "pending"),
            instance(Some("L40S"), Some(1), "running"),
            instance(Some("L4"), Some(8), "stopped"),
            instance(Some("no such"), Some(8), "running"),
            instance(None, Some(8), "running"),
        ];
        let labels = |namespace: &str, model: &str, currency: &str| Labels {
            namespace: namespace.to_owned(),
            model: model.to_owned(),
            currency: currency.to_owned(),
        };
        let expected = [
            (labels("a", "m", "EUR"), 3.75),
            (labels("none", "m", "EUR"), 31.25),
            (labels("none", "none", "USD"), 0.0),
        ];
        let namespaces = [Some("a".to_owned())]
            .into_iter()
            .chain([const { None }; 5]);
        let sums = prices.per_hour(instances.iter().zip(namespaces));
        assert_eq!(sums, BTreeMap::from(expected));
        let listed: Vec<_> = prices.of_hardware().collect();
        assert_eq!(
            listed,
            [
                ("H100", 4.0, "USD"),
                ("L4", 1.25, "EUR"),
                ("L40S", 30.0, "EUR")
            ]
        );
        let each: Vec<_> = instances.iter().map(|i| prices.shown_for(i)).collect();
        let each: Vec<_> = each.iter().flatten().map(|m| &*m.amount).collect();
        assert_eq!(each, ["3.75", "1.25", "30.00"]);
        let claimed = [true, true, false, true, true, true];
        let shown = prices.shown(instances.iter().zip(claimed));
        let euros = PricePerHour {
            currency: "EUR".to_owned(),
            managed: "5.00".to_owned(),
            unmanaged: "30.00".to_owned(),
        };
        assert_eq!(shown, [euros]);
    }

    #[test]
    fn what_makes_no_sense_has_no_price() {
        let mut catalog = vec![
            hardware("minus", json!(-1), "EUR"),
            hardware("no code", json!(1), "euros\n"),
            hardware("no price", json!(null), "EUR"),
            json!({ "hardware_type_id": "nothing" }),
        ];
        assert_eq!(prices(json!(catalog)), Prices::default());
        let codes = ('A'..='Z').map(|c| format!("XX{c}"));
        catalog.extend(codes.map(|code| hardware(&code, json!(1), &code)));
        let sums = prices(json!(catalog)).per_hour([]);
        assert_eq!(sums.len(), MAX_CURRENCIES);
    }
}
