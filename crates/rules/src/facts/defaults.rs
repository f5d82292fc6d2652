//! Every default of a spec resolved with the catalog, so that an instance started with the result can be recognised by it.

use cortecs_api::types::{HardwareConfig, InstanceArgs, Model};
use cortecs_resources::instance::CortecsInstanceSpec;

use super::args;

/// The context length that the API takes when none is asked for, unless the hardware allows less. In tokens.
pub const DEFAULT_CONTEXT_LENGTH: u32 = 32_000;

/// Most hardware types that a message lists.
const MAX_LISTED: usize = 12;

/// Whether the catalog is needed to pin these arguments.
pub fn needs_catalog(spec: &CortecsInstanceSpec) -> bool {
    spec.hardware_type_id.is_none() || spec.context_length.is_none()
}

/// Resolves every default, so that an instance started with the result can be recognised by it.
///
/// # Errors
/// A message for the user when the model cannot run as asked.
pub fn pin(spec: &CortecsInstanceSpec, model: Option<&Model>) -> Result<InstanceArgs, String> {
    let stated = args::stated(spec);
    let model_id = model.map_or(stated.model_id, |model| {
        let name = model.model_name.as_deref().unwrap_or(&model.model_id);
        args::normalise_model_id(name)
    });
    let recommended = model.and_then(|m| m.recommended_config.as_ref());
    let hardware = match (stated.hardware_type_id, recommended) {
        (Some(asked), _) => asked,
        (None, Some(recommended)) => recommended.clone(),
        (None, None) => {
            return Err(format!(
                "the catalog has no recommended hardware for {model_id}: set spec.hardwareTypeId"
            ));
        }
    };
    let configs = model
        .and_then(|m| m.hardware_configs.as_ref())
        .filter(|c| !c.is_empty());
    let config = configs.and_then(|c| c.get(&hardware));
    if let (Some(configs), None) = (configs, config) {
        let offered: Vec<&str> = configs
            .keys()
            .map(String::as_str)
            .filter(|id| can_be_asked_for(id))
            .take(MAX_LISTED)
            .collect();
        return Err(format!(
            "{model_id} does not run on {hardware}: set spec.hardwareTypeId to one of {}",
            offered.join(", ")
        ));
    }
    let maximum = config.and_then(HardwareConfig::max_context_length);
    let context_length = match stated.context_length {
        Some(asked) if maximum.is_some_and(|maximum| asked > maximum) => {
            return Err(format!(
                "{model_id} takes at most {} tokens of context on {hardware}: lower spec.contextLength, or choose other hardware",
                maximum.unwrap_or_default()
            ));
        }
        Some(asked) => asked,
        None => maximum.map_or(DEFAULT_CONTEXT_LENGTH, |maximum| {
            maximum.min(DEFAULT_CONTEXT_LENGTH)
        }),
    };
    let pinned = InstanceArgs {
        model_id,
        hardware_type_id: Some(hardware),
        context_length: Some(context_length),
        billing_interval: stated.billing_interval,
        num_workers: Some(stated.num_workers.unwrap_or(1)),
    };
    // A start is recorded before it is made.
    if !args::fits(&args::recorded(&pinned)) {
        return Err(
            "the catalog's name of the model or of its hardware is too long, or has characters that cannot be seen: set spec.hardwareTypeId, or choose another model"
                .to_owned(),
        );
    }
    Ok(pinned)
}

/// Whether `spec.hardwareTypeId` takes this id.
fn can_be_asked_for(id: &str) -> bool {
    id.len() <= 128
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
