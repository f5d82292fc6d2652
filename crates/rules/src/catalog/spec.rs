//! What the objects of the catalog say, made from the answers of the API. Texts are cut and cleaned to what the schema takes.

use std::collections::{BTreeMap, BTreeSet};

use cortecs_api::{
    fit,
    types::{Creator, HardwareType, Model},
};
use cortecs_resources::{
    hardware_type::CortecsHardwareTypeSpec,
    model::{CortecsModelSpec, MAX_DESCRIPTION, MAX_HARDWARE, MAX_SIZE, ModelCreator},
};
use serde_json::Value;

use crate::{
    cost::money::{decimal, is_code},
    facts::args::MAX_ID,
};

const MAX_NAME: usize = 256;
const MAX_URL: usize = 2048;

/// The id that a start takes.
pub fn start_id(model: &Model) -> &str {
    model.model_name.as_deref().unwrap_or(&model.model_id)
}

/// What only the answer about a single model says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    pub recommended: Option<String>,
    /// By hardware type: the maximum context length, if it is stated.
    pub hardware: BTreeMap<String, Option<u32>>,
}

impl Detail {
    /// Takes it from the answer about a single model.
    pub fn of(model: &Model) -> Self {
        let configs = model.hardware_configs.iter().flatten();
        let hardware = configs
            .filter(|(id, _)| is_id(id))
            .take(MAX_HARDWARE)
            .map(|(id, config)| (id.clone(), config.max_context_length()));
        Self {
            recommended: model.recommended_config.clone().filter(|id| is_id(id)),
            hardware: hardware.collect(),
        }
    }
}

/// The object about a model of the list. `before` is what the object says now: of what the API was not asked yet, that is kept.
pub fn model(
    entry: &Model,
    detail: Option<&Detail>,
    before: Option<&CortecsModelSpec>,
) -> CortecsModelSpec {
    let recommended = match detail {
        Some(detail) => detail.recommended.clone(),
        None => before.and_then(|before| before.recommended_hardware_type_id.clone()),
    };
    let listed = entry.hardware_info.as_ref().map(|info| {
        let ids = info.hardware_configs.iter().filter(|id| is_id(id));
        ids.cloned().collect::<BTreeSet<String>>()
    });
    let offered: BTreeSet<String> = match (listed, detail, before) {
        (Some(listed), _, _) => listed,
        (None, Some(detail), _) => detail.hardware.keys().cloned().collect(),
        (None, None, Some(before)) => before.hardware_type_ids.iter().cloned().collect(),
        (None, None, None) => BTreeSet::new(),
    };
    let recommended = recommended.filter(|id| offered.contains(id));
    let others = offered
        .iter()
        .filter(|id| Some(*id) != recommended.as_ref());
    let ids = recommended.iter().chain(others).take(MAX_HARDWARE);
    let hardware_type_ids: Vec<String> = ids.cloned().collect();
    let maximum = |id: &String| match detail {
        Some(detail) => detail.hardware.get(id).copied().flatten().map(i64::from),
        None => before.and_then(|before| before.max_context_lengths.get(id).copied()),
    };
    let maxima = hardware_type_ids
        .iter()
        .filter_map(|id| Some((id.clone(), maximum(id)?)));
    CortecsModelSpec {
        id: start_id(entry).to_owned(),
        hf_name: text(entry.hf_name.as_deref(), MAX_NAME),
        screen_name: text(entry.screen_name.as_deref(), MAX_NAME),
        creator: entry.creator.as_ref().and_then(creator),
        description: text(entry.description.as_deref(), MAX_DESCRIPTION),
        size: entry.size.as_ref().and_then(size),
        instant_provisioning: entry.instant_provisioned,
        max_context_lengths: maxima.collect(),
        hardware_type_ids,
        recommended_hardware_type_id: recommended,
    }
}

/// The object about a hardware type. `free` has the ids of the hardware that is available now; without it, what the object says is kept.
pub fn hardware_type(
    entry: &HardwareType,
    free: Option<&BTreeSet<String>>,
    before: Option<&CortecsHardwareTypeSpec>,
) -> CortecsHardwareTypeSpec {
    let info = entry.hardware_info.as_ref();
    let price = entry.price_info.as_ref();
    // Without its currency a price says nothing.
    let currency = price.and_then(|price| price.currency.clone());
    let currency = currency.filter(|currency| is_code(currency));
    let amount = |amount: Option<f64>| {
        let amount = amount.filter(|amount| *amount >= 0.0)?;
        currency.as_ref().and_then(|_| decimal(amount))
    };
    let minute = price.and_then(|price| price.price_per_minute);
    let hour = price.and_then(|price| price.price_per_hour);
    CortecsHardwareTypeSpec {
        id: entry.hardware_type_id.clone(),
        gpu_type: text(info.and_then(|info| info.gpu_type.as_deref()), MAX_NAME),
        gpu_count: info.and_then(|info| info.num_gpus).map(i64::from),
        gpu_ram: info.and_then(|info| info.gpu_ram_gb).and_then(gigabytes),
        price_per_hour: amount(hour.or_else(|| minute.map(|minute| minute * 60.0))),
        price_per_minute: amount(minute),
        available: match free {
            Some(free) => Some(free.contains(&entry.hardware_type_id)),
            None => before.and_then(|before| before.available),
        },
        currency,
    }
}

/// Whether the schema takes the id unchanged.
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && fit(id, MAX_ID) == id
}

fn creator(creator: &Creator) -> Option<ModelCreator> {
    let creator = ModelCreator {
        name: text(creator.name.as_deref(), MAX_NAME),
        url: text(creator.url.as_deref(), MAX_URL),
    };
    (creator != ModelCreator::default()).then_some(creator)
}

/// The text on one line; none if nothing is left of it.
fn text(text: Option<&str>, limit: usize) -> Option<String> {
    let words: Vec<&str> = text?.split_whitespace().collect();
    Some(fit(&words.join(" "), limit)).filter(|text| !text.is_empty())
}

/// A number of parameters as people write it, `7B`; any other size in the words of the API.
fn size(size: &Value) -> Option<String> {
    match size {
        Value::Number(number) => Some(match number.as_f64()? {
            count if count >= 1e12 => short(count / 1e12, "T"),
            count if count >= 1e9 => short(count / 1e9, "B"),
            count if count >= 1e6 => short(count / 1e6, "M"),
            _ => fit(&number.to_string(), MAX_SIZE),
        }),
        Value::String(words) => text(Some(words), MAX_SIZE),
        _ => None,
    }
}

/// The number with at most one decimal, and its unit.
fn short(number: f64, unit: &str) -> String {
    let text = format!("{number:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    fit(&format!("{text}{unit}"), MAX_SIZE)
}

/// A quantity of Kubernetes.
fn gigabytes(amount: f64) -> Option<String> {
    if !(0.0..1e9).contains(&amount) {
        return None;
    }
    let text = format!("{amount:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    Some(format!("{text}G"))
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
