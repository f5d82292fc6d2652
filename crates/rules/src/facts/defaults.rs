//! Every default of a spec resolved with the catalog, so that an instance started with the result can be recognised by it.

use cortecs_api::types::{HardwareConfig, InstanceArgs, Model};
use cortecs_resources::instance::CortecsInstanceSpec;

use super::{
    args,
    capacity::Capacity,
    failure::{Failure, FailureKind},
    nearest,
};

/// The context length that the API takes when none is asked for, unless the hardware allows less. In tokens.
pub const DEFAULT_CONTEXT_LENGTH: u32 = 32_000;

/// Most hardware types that a message lists.
const MAX_LISTED: usize = 12;

/// Whether the catalog is needed to pin these arguments.
pub fn needs_catalog(spec: &CortecsInstanceSpec) -> bool {
    spec.hardware_type_id.is_none() || spec.context_length.is_none()
}

/// Resolves every default, so that an instance started with the result can be recognised by it: the hardware that the spec asks for, or
/// that the catalog recommends.
///
/// # Errors
/// A message for the user when the model cannot run as asked.
pub fn pin(spec: &CortecsInstanceSpec, model: Option<&Model>) -> Result<InstanceArgs, String> {
    let model_id = model_id(spec, model);
    let hardware = preferred(spec, model, &model_id)?;
    for fallback in &spec.hardware_fallbacks {
        config_of(model, &model_id, fallback, "hardwareFallbacks")?;
    }
    let pinned = pin_on(spec, model, &model_id, hardware)?;
    // A start is recorded before it is made.
    if !args::fits(&args::recorded(&pinned)) {
        return Err("the catalog's name of the model or of its hardware is too long, or has characters that cannot be seen: set spec.hardwareTypeId, or choose another model"
                .to_owned());
    }
    Ok(pinned)
}

/// The same on each hardware of the spec that takes the context length, the preferred one first.
///
/// # Errors
/// A message for the user when the model cannot run as asked.
pub fn choices(
    spec: &CortecsInstanceSpec,
    model: Option<&Model>,
) -> Result<Vec<InstanceArgs>, String> {
    let first = pin(spec, model)?;
    let on = |id: &String| pin_on(spec, model, &first.model_id, id.clone()).ok();
    let others: Vec<InstanceArgs> = spec.hardware_fallbacks.iter().filter_map(on).collect();
    Ok(std::iter::once(first).chain(others).collect())
}

/// The first of these whose hardware is available. `own` is hardware that is free by the time of the start, since an instance of the
/// resource gives it back.
///
/// # Errors
/// If none is available: their hardware.
pub fn available(
    choices: Vec<InstanceArgs>,
    capacity: &Capacity,
    own: Option<&str>,
) -> Result<InstanceArgs, Vec<String>> {
    let hardware = |args: &InstanceArgs| args.hardware_type_id.clone().unwrap_or_default();
    let is_free = |id: &str| own == Some(id) || !capacity.lacks(id);
    let ids: Vec<String> = choices.iter().map(hardware).collect();
    let free = choices.into_iter().find(|args| is_free(&hardware(args)));
    free.ok_or(ids)
}

fn model_id(spec: &CortecsInstanceSpec, model: Option<&Model>) -> String {
    let name = model.map(|model| model.model_name.as_deref().unwrap_or(&model.model_id));
    args::normalise_model_id(name.unwrap_or(&spec.model_id))
}

/// The hardware that is asked for, or the recommended one.
fn preferred(
    spec: &CortecsInstanceSpec,
    model: Option<&Model>,
    model_id: &str,
) -> Result<String, String> {
    let recommended = model.and_then(|m| m.recommended_config.clone());
    let asked = spec.hardware_type_id.clone();
    asked.or(recommended).ok_or_else(|| {
        format!("the catalog has no recommended hardware for {model_id}: set spec.hardwareTypeId")
    })
}

/// What the catalog says of the model on this hardware; `None` if it says nothing of hardware.
fn config_of<'a>(
    model: Option<&'a Model>,
    model_id: &str,
    hardware: &str,
    field: &str,
) -> Result<Option<&'a HardwareConfig>, String> {
    let configs = model.and_then(|m| m.hardware_configs.as_ref());
    let Some(configs) = configs.filter(|configs| !configs.is_empty()) else {
        return Ok(None);
    };
    if let Some(config) = configs.get(hardware) {
        return Ok(Some(config));
    }
    let offered: Vec<&str> = configs
        .keys()
        .map(String::as_str)
        .filter(|id| can_be_asked_for(id))
        .collect();
    let meant = nearest::nearest_hardware(hardware, &offered);
    let meant = meant.map_or_else(String::new, |id| format!(", did you mean {id}?"));
    Err(format!(
        "{model_id} does not run on {hardware}{meant}: set spec.{field} to one of {}",
        offered[..offered.len().min(MAX_LISTED)].join(", ")
    ))
}

fn pin_on(
    spec: &CortecsInstanceSpec,
    model: Option<&Model>,
    model_id: &str,
    hardware: String,
) -> Result<InstanceArgs, String> {
    let config = config_of(model, model_id, &hardware, "hardwareTypeId")?;
    let stated = args::stated(spec);
    let maximum = config.and_then(HardwareConfig::max_context_length);
    let context_length = match (stated.context_length, maximum) {
        (Some(asked), Some(maximum)) if asked > maximum => {
            let larger = with_context(model, asked);
            let remedy = match larger.is_empty() {
                true => "lower spec.contextLength".to_owned(),
                false => format!(
                    "lower spec.contextLength, or set spec.hardwareTypeId to one of {}",
                    larger.join(", ")
                ),
            };
            return Err(format!(
                "{model_id} takes at most {maximum} tokens of context on {hardware}: {remedy}"
            ));
        }
        (Some(asked), _) => asked,
        (None, maximum) => maximum.map_or(DEFAULT_CONTEXT_LENGTH, |maximum| {
            maximum.min(DEFAULT_CONTEXT_LENGTH)
        }),
    };
    Ok(InstanceArgs {
        model_id: model_id.to_owned(),
        hardware_type_id: Some(hardware),
        context_length: Some(context_length),
        billing_interval: stated.billing_interval,
        num_workers: Some(stated.num_workers.unwrap_or(1)),
    })
}

/// Says in a refusal that is about the context what was asked for where the spec leaves it open: the user has set nothing that could be wrong.
pub fn explain(refusal: &mut Failure, spec: &CortecsInstanceSpec, asked: &InstanceArgs) {
    let message = refusal.message.to_lowercase();
    let is_about_context = ["context", "max_model_len", "max-model-len"]
        .iter()
        .any(|word| message.contains(word));
    if let Some(asked) = asked.context_length
        && spec.context_length.is_none()
        && is_about_context
        && refusal.kind == FailureKind::Terminal
    {
        refusal.message +=
            &format!("; {asked} tokens are the default here: set spec.contextLength");
    }
}

/// The hardware on which the model takes so much context, as far as a message lists it.
fn with_context(model: Option<&Model>, asked: u32) -> Vec<&str> {
    let configs = model.and_then(|m| m.hardware_configs.as_ref());
    let takes = |config: &HardwareConfig| config.max_context_length().is_none_or(|m| m >= asked);
    let larger = configs
        .into_iter()
        .flatten()
        .filter(|(id, config)| takes(config) && can_be_asked_for(id));
    larger.map(|(id, _)| id.as_str()).take(MAX_LISTED).collect()
}

/// Whether `spec.hardwareTypeId` takes this id.
fn can_be_asked_for(id: &str) -> bool {
    id.len() <= 128
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
#[path = "defaults_tests.rs"]
mod tests;
