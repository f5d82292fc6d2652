//! The arguments of a start: the check against the catalog, and the defaults.

use cortecs_api::types::{BillingInterval, InstanceArgs, Model};
use serde::Deserialize;

use crate::{catalog::Catalog, world::Refusal};

const DEFAULT_CONTEXT_LENGTH: u32 = 32_000;
const MAX_WORKERS: u32 = 8;

/// The body of a start. Absent and null mean the default. The integers are wide, so that a refusal can name a value out of range.
#[derive(Debug, Default, Deserialize)]
pub(super) struct StartBody {
    model_id: Option<String>,
    hardware_type_id: Option<String>,
    context_length: Option<i64>,
    billing_interval: Option<String>,
    num_workers: Option<i64>,
}

impl From<InstanceArgs> for StartBody {
    fn from(args: InstanceArgs) -> Self {
        Self {
            model_id: Some(args.model_id),
            hardware_type_id: args.hardware_type_id,
            context_length: args.context_length.map(i64::from),
            billing_interval: args
                .billing_interval
                .map(|billing| billing.as_str().to_owned()),
            num_workers: args.num_workers.map(i64::from),
        }
    }
}

/// The args of the instance that a start creates.
pub(super) fn resolve(body: StartBody, catalog: &Catalog) -> Result<InstanceArgs, Refusal> {
    let model_id = body
        .model_id
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Refusal::new("model_id is required"))?;
    let model = find_model(&model_id, catalog)?;
    let (hardware, max_context) = choose_hardware(model, body.hardware_type_id, catalog)?;
    Ok(InstanceArgs {
        context_length: Some(choose_context(body.context_length, max_context, &hardware)?),
        hardware_type_id: Some(hardware),
        billing_interval: Some(choose_billing(body.billing_interval)?),
        num_workers: Some(choose_workers(body.num_workers)?),
        // However it was spelt.
        model_id: crate::catalog::start_id(model).to_owned(),
    })
}

fn find_model<'a>(id: &str, catalog: &'a Catalog) -> Result<&'a Model, Refusal> {
    if let Some(model) = catalog.startable(id) {
        return Ok(model);
    }
    let normalised = id.replace('/', "--");
    Err(match catalog.startable(&normalised) {
        Some(_) => Refusal(format!("Unknown model {id}: use its id {normalised}")),
        None => Refusal(format!("Unknown model {id}")),
    })
}

/// The hardware type and its maximum context length for the model.
fn choose_hardware(
    model: &Model,
    wanted: Option<String>,
    catalog: &Catalog,
) -> Result<(String, u32), Refusal> {
    let hardware = wanted
        .or_else(|| model.recommended_config.clone())
        .unwrap_or_default();
    let mut types = catalog.hardware_types().iter();
    if !types.any(|known| known.hardware_type_id == hardware) {
        return Err(Refusal(format!("Unknown hardware type {hardware}")));
    }
    let configs = model.hardware_configs.as_ref();
    match configs.and_then(|configs| configs.get(&hardware)) {
        Some(config) => {
            let max = config
                .max_context_length()
                .unwrap_or(DEFAULT_CONTEXT_LENGTH);
            Ok((hardware, max))
        }
        None => Err(Refusal(format!(
            "Model {} cannot run on hardware type {hardware}",
            crate::catalog::start_id(model)
        ))),
    }
}

fn choose_context(wanted: Option<i64>, max: u32, hardware: &str) -> Result<u32, Refusal> {
    let Some(wanted) = wanted else {
        return Ok(max.min(DEFAULT_CONTEXT_LENGTH));
    };
    match u32::try_from(wanted) {
        Ok(length) if (1..=max).contains(&length) => Ok(length),
        _ => Err(Refusal(format!(
            "context_length {wanted} is out of range: 1 to {max} on {hardware}"
        ))),
    }
}

fn choose_billing(wanted: Option<String>) -> Result<BillingInterval, Refusal> {
    match wanted.as_deref().map(BillingInterval::from) {
        None => Ok(BillingInterval::PerMinute),
        Some(BillingInterval::Unknown(word)) => Err(Refusal(format!(
            "billing_interval {word} is invalid: per_minute or per_hour"
        ))),
        Some(known) => Ok(known),
    }
}

fn choose_workers(wanted: Option<i64>) -> Result<u32, Refusal> {
    let Some(wanted) = wanted else {
        return Ok(1);
    };
    match u32::try_from(wanted) {
        Ok(workers) if (1..=MAX_WORKERS).contains(&workers) => Ok(workers),
        _ => Err(Refusal(format!(
            "num_workers {wanted} is out of range: 1 to {MAX_WORKERS}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resolved(body: Value) -> Result<InstanceArgs, Refusal> {
        resolve(serde_json::from_value(body).unwrap(), &Catalog::new())
    }

    #[test]
    fn defaults_are_the_recommended_hardware_its_context_up_to_32000_and_one_worker_per_minute() {
        let short = resolved(
            json!({"model_id": "mistralai--Mistral-7B-Instruct-v0.3", "hardware_type_id": null}),
        );
        assert_eq!(
            short.unwrap(),
            InstanceArgs {
                model_id: "mistralai--Mistral-7B-Instruct-v0.3".into(),
                hardware_type_id: Some("NVIDIA_L4_1".into()),
                context_length: Some(16_000),
                billing_interval: Some(BillingInterval::PerMinute),
                num_workers: Some(1),
            }
        );
        let long = resolved(json!({"model_id": "meta-llama--Llama-3.1-8B-Instruct"})).unwrap();
        assert_eq!(long.context_length, Some(32_000));
    }

    #[test]
    fn invalid_arguments_are_refused_with_their_names() {
        let model = "mistralai--Mistral-7B-Instruct-v0.3";
        let cases = [
            (json!({}), "model_id is required"),
            (json!({"model_id": "no--model"}), "Unknown model no--model"),
            (
                json!({"model_id": "mistralai/Mistral-7B-Instruct-v0.3"}),
                "use its id mistralai--",
            ),
            (
                json!({"model_id": "llama-3-1-8b-instruct"}),
                "Unknown model",
            ),
            (
                json!({"model_id": model, "hardware_type_id": "ABACUS"}),
                "Unknown hardware type ABACUS",
            ),
            (
                json!({"model_id": model, "hardware_type_id": "NVIDIA_H100_8"}),
                "cannot run on",
            ),
            (
                json!({"model_id": model, "context_length": 16_001}),
                "1 to 16000",
            ),
            (
                json!({"model_id": model, "context_length": 0}),
                "context_length 0",
            ),
            (
                json!({"model_id": model, "context_length": -5_000_000_000i64}),
                "context_length -5000000000",
            ),
            (
                json!({"model_id": model, "num_workers": 0}),
                "num_workers 0",
            ),
            (
                json!({"model_id": model, "num_workers": 9}),
                "num_workers 9",
            ),
            (
                json!({"model_id": model, "billing_interval": "per_day"}),
                "billing_interval per_day",
            ),
        ];
        for (body, message) in cases {
            let refusal = resolved(body.clone()).unwrap_err();
            assert!(refusal.0.contains(message), "{body}: {refusal}");
        }
    }

    #[test]
    fn the_bounds_themselves_are_accepted() {
        let model = "mistralai--Mistral-7B-Instruct-v0.3";
        for (context, workers) in [(1, 1), (16_000, 8)] {
            let body = json!({"model_id": model, "context_length": context, "num_workers": workers,
                "billing_interval": "per_hour"});
            assert_eq!(resolved(body).unwrap().num_workers, Some(workers));
        }
    }
}
