//! Parses the bodies of the API's answers. Pure.
//!
//! Each function takes a whole body of any bytes, and says why it is not usable in words that quote nothing of it.

use std::collections::HashMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

pub use crate::grant::Grant;
use crate::{
    grant, id, lenient, text,
    types::{AllAnswer, Balance, DeleteAnswer, HardwareType, Instance, Model},
};

/// The instances of a list; each has an id of its own.
///
/// # Errors
/// When a single entry is not what it should be, or the answer says that there are more (`has_more`, or a `total` above the
/// number of entries): a part of the list is not the list.
pub fn instances(body: &[u8]) -> Result<Vec<Instance>, String> {
    #[derive(Deserialize)]
    struct Answer {
        instances: Vec<Instance>,
        #[serde(default, deserialize_with = "lenient::flag")]
        has_more: Option<bool>,
        #[serde(default, deserialize_with = "lenient::number")]
        total: Option<f64>,
    }
    let Answer {
        instances: mut list,
        has_more,
        total,
    } = json(body)?;
    id::check_list(list.iter().map(|instance| instance.instance_id.as_str()))?;
    let count = list.len();
    if has_more == Some(true) || total.is_some_and(|total| total > count as f64) {
        let total = total.map_or(String::new(), |total| format!(" of {total}"));
        return Err(format!(
            "it is only a part of the list: {count}{total} instances"
        ));
    }
    list.iter_mut().for_each(tell_workers);
    Ok(list)
}

/// Where an answer leaves out the number of workers, the states of the workers tell it: there is one for each.
fn tell_workers(instance: &mut Instance) {
    let workers = u32::try_from(instance.worker_statuses.len()).unwrap_or_default();
    if (1..=MOST_WORKERS).contains(&workers) {
        instance.instance_args.num_workers.get_or_insert(workers);
    }
}

/// Most workers that an instance can have.
const MOST_WORKERS: u32 = 8;

/// The instance that a get, a start, a restart or a stop is answered with.
///
/// # Errors
/// When there is none, or its id can be no id, or is one that no call is made about: what a start is answered with has to
/// be stopped some day.
pub fn instance(body: &[u8]) -> Result<Instance, String> {
    #[derive(Deserialize)]
    struct Answer {
        instance: Instance,
    }
    let mut instance = json::<Answer>(body)?.instance;
    tell_workers(&mut instance);
    id::check_answer(&instance.instance_id)?;
    id::flaw_of_instance(&instance.instance_id).map_or(Ok(instance), |why| Err(why.into()))
}

/// The id that a delete is answered with, if there is one.
///
/// # Errors
/// When the body is not such an answer.
pub fn deleted(body: &[u8]) -> Result<Option<String>, String> {
    Ok(json::<DeleteAnswer>(body)?.instance_id)
}

/// The ids that a call for all instances is answered with.
///
/// # Errors
/// When the body is not such an answer, or one of them can be no id.
pub fn instance_ids(body: &[u8]) -> Result<Vec<String>, String> {
    let ids = json::<AllAnswer>(body)?.instance_ids;
    id::check_list(ids.iter().map(String::as_str))?;
    Ok(ids)
}

/// The token that the token endpoint answers with.
///
/// # Errors
/// When the body has none, or one that can be no bearer token.
pub fn token(body: &[u8]) -> Result<Grant, String> {
    grant::parse(body)
}

/// The balance.
///
/// # Errors
/// When the body is not such an answer.
pub fn balance(body: &[u8]) -> Result<Balance, String> {
    json(body)
}

/// The models of the catalog.
///
/// # Errors
/// As [`model`], of any of them, and when two have one id.
pub fn models(body: &[u8]) -> Result<Vec<Model>, String> {
    #[derive(Deserialize)]
    struct Answer {
        models: Vec<Model>,
    }
    let list = json::<Answer>(body)?.models;
    id::check_list(list.iter().map(start_id))?;
    list.iter().try_for_each(check_hardware)?;
    Ok(list)
}

/// One model.
///
/// # Errors
/// When there is none, or it or its hardware has an id that can be none.
pub fn model(body: &[u8]) -> Result<Model, String> {
    #[derive(Deserialize)]
    struct Answer {
        model: Model,
    }
    let model = json::<Answer>(body)?.model;
    id::check_answer(start_id(&model))?;
    check_hardware(&model)?;
    Ok(model)
}

/// The hardware types; each has an id of its own.
///
/// # Errors
/// When a single entry is not what it should be.
pub fn hardware_types(body: &[u8]) -> Result<Vec<HardwareType>, String> {
    #[derive(Deserialize)]
    struct Answer {
        hardware_types: Vec<HardwareType>,
    }
    let list = json::<Answer>(body)?.hardware_types;
    id::check_list(list.iter().map(|kind| kind.hardware_type_id.as_str()))?;
    Ok(list)
}

/// The entries of a list that could be read, in order, and the number of the others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readable<T> {
    pub entries: Vec<T>,
    pub skipped: usize,
}

/// As [`models`], without the entries that are not what they should be. Of entries with one id all are left out.
///
/// # Errors
/// When the body is not such an answer.
pub fn readable_models(body: &[u8]) -> Result<Readable<Model>, String> {
    #[derive(Deserialize)]
    struct Answer {
        models: Vec<Value>,
    }
    let entries = json::<Answer>(body)?.models;
    Ok(readable(entries, |model| {
        check_hardware(model).ok()?;
        Some(start_id(model))
    }))
}

/// As [`hardware_types`], without the entries that are not what they should be. Of entries with one id all are left out.
///
/// # Errors
/// When the body is not such an answer.
pub fn readable_hardware_types(body: &[u8]) -> Result<Readable<HardwareType>, String> {
    #[derive(Deserialize)]
    struct Answer {
        hardware_types: Vec<Value>,
    }
    let entries = json::<Answer>(body)?.hardware_types;
    Ok(readable(entries, |kind: &HardwareType| {
        Some(&kind.hardware_type_id)
    }))
}

fn readable<T: DeserializeOwned>(
    values: Vec<Value>,
    id: impl Fn(&T) -> Option<&str>,
) -> Readable<T> {
    let all = values.len();
    let entries = values.into_iter().filter_map(|value| {
        let entry: T = serde_json::from_value(value).ok()?;
        id::check_answer(id(&entry)?).ok()?;
        Some(entry)
    });
    let mut entries: Vec<T> = entries.collect();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for id in entries.iter().filter_map(&id) {
        *counts.entry(id.to_owned()).or_default() += 1;
    }
    entries.retain(|entry| id(entry).is_some_and(|id| counts.get(id) == Some(&1)));
    Readable {
        skipped: all - entries.len(),
        entries,
    }
}

/// The JSON `message` of an error's body, else its `error_description` or `error`, if it may be shown: one line of at most 256 characters, no page,
/// nothing invisible, and none of `secrets`.
pub fn message(body: &[u8], secrets: &[&str]) -> Option<String> {
    text::message(body, secrets)
}

/// The id that a start takes.
fn start_id(model: &Model) -> &str {
    model.model_name.as_deref().unwrap_or(&model.model_id)
}

/// Checks the names of the offered hardware: a start repeats them to the API, and statuses show them.
fn check_hardware(model: &Model) -> Result<(), &'static str> {
    let offered = model.hardware_configs.iter().flat_map(|c| c.keys());
    model
        .recommended_config
        .iter()
        .chain(offered)
        .try_for_each(|id| id::check_answer(id))
}

/// Parses an answer. The parser's own words are not used: they may quote the body.
fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    if let Some(why) = flaw(body) {
        return Err(why.into());
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            serde_json::error::Category::Data => "it has an unexpected shape",
            _ => "it is not JSON",
        };
        format!("{what} (line {}, column {})", error.line(), error.column())
    })
}

/// Why a body is no JSON object, if that can be seen at its begin.
fn flaw(body: &[u8]) -> Option<&'static str> {
    match body.trim_ascii_start().is_empty() {
        true => Some("it is empty"),
        false if text::is_page_body(body) => Some("it is a page, as a proxy sends it"),
        false => (!text::is_object(body)).then_some("it is no JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_cannot_be_read_are_left_out_and_counted() {
        let body = br#"{"models": [
            {"model_id": "a"}, {"model_id": 7}, {"model_id": ""}, {"model_id": "b"}, {"model_id": "b"},
            {"model_name": "c", "model_id": "a"}, {"model_id": "d", "recommended_config": ""}, null
        ]}"#;
        let list = readable_models(body).unwrap();
        let ids: Vec<_> = list.entries.iter().map(start_id).collect();
        assert_eq!((ids, list.skipped), (vec!["a", "c"], 6));
        let body = br#"{"hardware_types": [{"hardware_type_id": "A"}, {}]}"#;
        let list = readable_hardware_types(body).unwrap();
        assert_eq!((list.entries.len(), list.skipped), (1, 1));
        for body in [&b"{}"[..], b"[]", br#"{"models": {}}"#, b""] {
            readable_models(body).unwrap_err();
            readable_hardware_types(body).unwrap_err();
        }
    }
}
