//! The models and hardware types that the simulated API offers. Prices and limits are plausible, not the vendor's.

use cortecs_api::types::{
    Creator, HardwareConfig, HardwareInfo, HardwareType, Model, ModelHardwareInfo, PriceInfo,
};
use serde::Deserialize;
use serde_json::{Map, json};

/// Currency of all prices and balances.
pub(super) const CURRENCY: &str = "EUR";

/// Hardware type id, GPU, number of GPUs, memory of each in GB, EUR an hour.
const HARDWARE: [(&str, &str, u32, f64, f64); 10] = [
    ("NVIDIA_L4_1", "NVIDIA L4", 1, 24.0, 1.2),
    ("NVIDIA_L4_2", "NVIDIA L4", 2, 24.0, 2.4),
    ("NVIDIA_L4_4", "NVIDIA L4", 4, 24.0, 4.8),
    ("NVIDIA_L40S_1", "NVIDIA L40S", 1, 48.0, 2.1),
    ("NVIDIA_L40S_2", "NVIDIA L40S", 2, 48.0, 4.2),
    ("NVIDIA_A100_1", "NVIDIA A100", 1, 80.0, 2.7),
    ("NVIDIA_H100_1", "NVIDIA H100", 1, 80.0, 3.6),
    ("NVIDIA_H100_2", "NVIDIA H100", 2, 80.0, 7.2),
    ("NVIDIA_H100_4", "NVIDIA H100", 4, 80.0, 14.4),
    ("NVIDIA_H100_8", "NVIDIA H100", 8, 80.0, 28.8),
];

struct Entry {
    /// The Hugging Face name.
    name: &'static str,
    /// The catalog's internal id, if it differs from the id that a start takes.
    internal: Option<&'static str>,
    screen_name: &'static str,
    creator: Option<(&'static str, &'static str)>,
    /// Parameters in billions.
    size: u32,
    instant: bool,
    recommended: &'static str,
    /// Hardware type id and maximum context length in tokens.
    configs: &'static [(&'static str, u32)],
}

const MODELS: [Entry; 8] = [
    Entry {
        name: "mistralai/Mistral-7B-Instruct-v0.3",
        internal: None,
        screen_name: "Mistral 7B Instruct v0.3",
        creator: Some(("Mistral AI", "https://mistral.ai")),
        size: 7,
        instant: true,
        recommended: "NVIDIA_L4_1",
        configs: &[
            ("NVIDIA_L4_1", 16_000),
            ("NVIDIA_L40S_1", 32_768),
            ("NVIDIA_H100_1", 32_768),
        ],
    },
    Entry {
        name: "meta-llama/Llama-3.1-8B-Instruct",
        internal: Some("llama-3-1-8b-instruct"),
        screen_name: "Llama 3.1 8B Instruct",
        creator: Some(("Meta", "https://llama.meta.com")),
        size: 8,
        instant: true,
        recommended: "NVIDIA_L40S_1",
        configs: &[
            ("NVIDIA_L4_1", 12_000),
            ("NVIDIA_L4_2", 48_000),
            ("NVIDIA_L40S_1", 64_000),
            ("NVIDIA_H100_1", 131_072),
        ],
    },
    Entry {
        name: "meta-llama/Llama-3.3-70B-Instruct",
        internal: Some("llama-3-3-70b-instruct"),
        screen_name: "Llama 3.3 70B Instruct",
        creator: Some(("Meta", "https://llama.meta.com")),
        size: 70,
        instant: false,
        recommended: "NVIDIA_H100_4",
        configs: &[
            ("NVIDIA_H100_2", 24_000),
            ("NVIDIA_H100_4", 131_072),
            ("NVIDIA_H100_8", 131_072),
        ],
    },
    Entry {
        name: "Qwen/Qwen2.5-72B-Instruct",
        internal: None,
        screen_name: "Qwen2.5 72B Instruct",
        creator: Some(("Alibaba Cloud", "https://qwenlm.github.io")),
        size: 72,
        instant: false,
        recommended: "NVIDIA_H100_4",
        configs: &[("NVIDIA_H100_4", 32_768), ("NVIDIA_H100_8", 32_768)],
    },
    Entry {
        name: "Qwen/Qwen2.5-Coder-32B-Instruct",
        internal: None,
        screen_name: "Qwen2.5 Coder 32B Instruct",
        creator: Some(("Alibaba Cloud", "https://qwenlm.github.io")),
        size: 32,
        instant: true,
        recommended: "NVIDIA_H100_1",
        configs: &[
            ("NVIDIA_L40S_2", 16_384),
            ("NVIDIA_H100_1", 16_384),
            ("NVIDIA_H100_2", 32_768),
        ],
    },
    Entry {
        name: "microsoft/phi-4",
        internal: None,
        screen_name: "Phi-4",
        creator: Some(("Microsoft", "https://www.microsoft.com")),
        size: 14,
        instant: true,
        recommended: "NVIDIA_L40S_1",
        configs: &[
            ("NVIDIA_L4_2", 8_192),
            ("NVIDIA_L40S_1", 16_384),
            ("NVIDIA_A100_1", 16_384),
        ],
    },
    Entry {
        name: "google/gemma-2-9b-it",
        internal: None,
        screen_name: "Gemma 2 9B",
        creator: Some(("Google", "https://ai.google.dev/gemma")),
        size: 9,
        instant: true,
        recommended: "NVIDIA_L4_2",
        configs: &[("NVIDIA_L4_2", 8_192), ("NVIDIA_L40S_1", 8_192)],
    },
    Entry {
        name: "deepseek-ai/DeepSeek-R1-Distill-Llama-70B",
        internal: None,
        screen_name: "DeepSeek R1 Distill Llama 70B",
        creator: None,
        size: 70,
        instant: false,
        recommended: "NVIDIA_H100_4",
        configs: &[("NVIDIA_H100_4", 65_536), ("NVIDIA_H100_8", 131_072)],
    },
];

/// A change of what the API offers. Running instances stay as they are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CatalogChange {
    /// The ids that a start takes.
    pub removed_models: Vec<String>,
    pub removed_hardware_types: Vec<String>,
    /// As the answer about a single model shows them. A model takes the place of the one with its id.
    pub models: Vec<Model>,
    /// A hardware type takes the place of the one with its id.
    pub hardware_types: Vec<HardwareType>,
}

/// The models and hardware types.
pub(super) struct Catalog {
    /// The models with their hardware configs, as the answer about a single model shows them.
    models: Vec<Model>,
    hardware: Vec<HardwareType>,
}

impl Catalog {
    pub(super) fn new() -> Self {
        Self {
            models: MODELS.iter().map(model).collect(),
            hardware: HARDWARE.iter().map(hardware_type).collect(),
        }
    }

    pub(super) fn change(&mut self, change: CatalogChange) {
        let CatalogChange {
            removed_models,
            removed_hardware_types,
            models,
            hardware_types,
        } = change;
        let new: Vec<&str> = models.iter().map(start_id).collect();
        self.models.retain(|model| {
            let id = start_id(model);
            !new.contains(&id) && !removed_models.iter().any(|removed| removed == id)
        });
        self.hardware.retain(|kind| {
            let id = &kind.hardware_type_id;
            let is_new = hardware_types.iter().any(|new| new.hardware_type_id == *id);
            !is_new && !removed_hardware_types.contains(id)
        });
        self.models.extend(models);
        self.hardware.extend(hardware_types);
    }

    /// The entries of the model list.
    pub(super) fn models(&self) -> Vec<Model> {
        self.models
            .iter()
            .map(|model| Model {
                hardware_info: model
                    .hardware_configs
                    .as_ref()
                    .map(|configs| ModelHardwareInfo {
                        hardware_configs: configs.keys().cloned().collect(),
                    }),
                recommended_config: None,
                hardware_configs: None,
                ..model.clone()
            })
            .collect()
    }

    /// A model by the id that a start takes.
    pub(super) fn startable(&self, id: &str) -> Option<&Model> {
        let mut models = self.models.iter();
        models.find(|model| start_id(model).eq_ignore_ascii_case(id))
    }

    /// A model by the id that a start takes or by its internal id.
    pub(super) fn model(&self, id: &str) -> Option<&Model> {
        self.startable(id)
            .or_else(|| self.models.iter().find(|model| model.model_id == id))
    }

    pub(super) fn hardware_types(&self) -> &[HardwareType] {
        &self.hardware
    }

    /// EUR an hour for one worker; nothing for an unknown hardware type.
    pub(super) fn price_per_hour(&self, hardware_type_id: &str) -> f64 {
        self.hardware
            .iter()
            .find(|hardware| hardware.hardware_type_id == hardware_type_id)
            .and_then(|hardware| hardware.price_info.as_ref()?.price_per_hour)
            .unwrap_or_default()
    }
}

/// The id that a start of this model takes.
pub(super) fn start_id(model: &Model) -> &str {
    model.model_name.as_deref().unwrap_or(&model.model_id)
}

fn model(entry: &Entry) -> Model {
    let id = entry.name.replace('/', "--");
    let configs = entry.configs.iter().map(|(hardware, context)| {
        let mut params = Map::new();
        params.insert("--max-model-len".to_owned(), json!(context));
        params.insert("--gpu-memory-utilization".to_owned(), json!(0.95));
        let mut requirements = Map::new();
        requirements.insert("disk_gb".to_owned(), json!(entry.size.saturating_mul(3)));
        let config = HardwareConfig {
            hardware_type_id: Some((*hardware).to_owned()),
            params,
            requirements,
        };
        ((*hardware).to_owned(), config)
    });
    Model {
        // Some entries of the real list have no name. A start takes their id.
        model_name: entry.internal.map(|_| id.clone()),
        model_id: entry.internal.map_or(id, str::to_owned),
        hf_name: Some(entry.name.to_owned()),
        instant_provisioned: Some(entry.instant),
        creator: entry.creator.map(|(name, url)| Creator {
            name: Some(name.to_owned()),
            url: Some(url.to_owned()),
        }),
        description: Some(format!(
            "{} with {} billion parameters.",
            entry.screen_name, entry.size
        )),
        screen_name: Some(entry.screen_name.to_owned()),
        size: Some(json!(u64::from(entry.size).saturating_mul(1_000_000_000))),
        hardware_info: None,
        recommended_config: Some(entry.recommended.to_owned()),
        hardware_configs: Some(configs.collect()),
    }
}

fn hardware_type((id, gpu, number, memory, price): &(&str, &str, u32, f64, f64)) -> HardwareType {
    HardwareType {
        hardware_type_id: (*id).to_owned(),
        price_info: Some(PriceInfo {
            price_per_hour: Some(*price),
            price_per_minute: Some(price / 60.0),
            currency: Some(CURRENCY.to_owned()),
        }),
        hardware_info: Some(HardwareInfo {
            gpu_type: Some((*gpu).to_owned()),
            num_gpus: Some(*number),
            gpu_ram_gb: Some(*memory),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_names_hardware_that_exists_and_a_context_length() {
        let catalog = Catalog::new();
        for model in &catalog.models {
            let configs = model.hardware_configs.as_ref().unwrap();
            assert!(configs.contains_key(model.recommended_config.as_ref().unwrap()));
            for (id, config) in configs {
                assert!(catalog.price_per_hour(id) > 0.0, "{id}");
                assert!(config.max_context_length().unwrap() >= 1);
            }
        }
    }

    #[test]
    fn a_model_is_found_by_either_id_but_started_by_one() {
        let catalog = Catalog::new();
        let by_name = catalog.model("meta-llama--Llama-3.1-8B-Instruct").unwrap();
        assert_eq!(by_name, catalog.model("llama-3-1-8b-instruct").unwrap());
        assert!(catalog.startable("llama-3-1-8b-instruct").is_none());
        assert!(catalog.startable("microsoft--phi-4").is_some());
    }

    #[test]
    fn a_change_adds_replaces_and_removes() {
        let mut catalog = Catalog::new();
        let (models, hardware) = (catalog.models.len(), catalog.hardware.len());
        let change = json!({
            "removed_models": ["microsoft--phi-4"],
            "removed_hardware_types": ["NVIDIA_L4_1"],
            "models": [{"model_id": "new"}, {"model_id": "google--gemma-2-9b-it", "size": 1}],
            "hardware_types": [{"hardware_type_id": "NVIDIA_L4_2"}],
        });
        catalog.change(serde_json::from_value(change).unwrap());
        assert_eq!(catalog.models.len(), models);
        assert!(catalog.model("microsoft--phi-4").is_none() && catalog.model("new").is_some());
        let gemma = catalog.model("google--gemma-2-9b-it").unwrap();
        assert_eq!(gemma.size, Some(json!(1)));
        assert_eq!(catalog.hardware.len(), hardware - 1);
        assert_eq!(catalog.price_per_hour("NVIDIA_L4_2"), 0.0);
    }
}
