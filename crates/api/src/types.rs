//! Wire types of the Cortecs API. Unknown fields and unknown enum values parse: the API may grow.
//!
//! These types are shared by the client, the decisions and the simulator. They hold no secret and do no I/O.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::lenient::{self, Scalar};

/// Most workers of an instance that are kept; the API has eight.
pub const MAX_WORKERS: usize = 64;

/// An instance as the API describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Instance {
    pub instance_id: String,
    /// The OpenAI-compatible endpoint (`…/v1`); absent until the first worker is initialised.
    #[serde(default, deserialize_with = "lenient::text")]
    pub base_url: Option<String>,
    pub instance_args: InstanceArgs,
    pub instance_status: InstanceStatus,
    /// The first [`MAX_WORKERS`] of them.
    #[serde(default, deserialize_with = "first_workers")]
    pub worker_statuses: Vec<WorkerStatus>,
}

impl Instance {
    /// Whether the API says that the instance is stopped.
    pub fn is_stopped(&self) -> bool {
        self.instance_status.status == InstanceState::Stopped
    }
}

/// The arguments of an instance's start. Any field but the model may be missing from an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct InstanceArgs {
    /// The model's id: its Hugging Face name with `/` written `--`.
    pub model_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_type_id: Option<String>,
    /// Tokens.
    #[serde(
        default,
        deserialize_with = "lenient::exact_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub context_length: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_interval: Option<BillingInterval>,
    /// 1–8. Where an answer of the API leaves it out, [`answers`](crate::answers) takes it from the number of worker states.
    #[serde(
        default,
        deserialize_with = "lenient::exact_count",
        skip_serializing_if = "Option::is_none"
    )]
    pub num_workers: Option<u32>,
}

macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A word that this version does not know, as the API sent it.
            Unknown(String),
        }

        impl $name {
            /// The API's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => Self::$variant,)+
                    other => Self::Unknown(other.to_owned()),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|word| Self::from(word.as_str()))
            }
        }
    };
}

open_enum! {
    /// How an instance is billed.
    BillingInterval { PerMinute = "per_minute", PerHour = "per_hour" }
}

open_enum! {
    /// The state of an instance at the API.
    InstanceState {
        /// Being provisioned; billed.
        Pending = "pending",
        /// At least one worker runs; billed.
        Running = "running",
        /// Kept with its id, not billed.
        Stopped = "stopped",
    }
}

/// State and times of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct InstanceStatus {
    pub status: InstanceState,
    /// RFC 3339; absent while the instance is being initialised.
    #[serde(default, deserialize_with = "lenient::text")]
    pub started_at: Option<String>,
    /// RFC 3339.
    #[serde(default, deserialize_with = "lenient::text")]
    pub stopped_at: Option<String>,
}

/// One worker of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct WorkerStatus {
    /// Absent when the worker is stopped.
    #[serde(default, deserialize_with = "progress")]
    pub init_progress: Option<InitProgress>,
}

/// How far the initialisation of a worker has come; it runs when `current_step` equals `num_steps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct InitProgress {
    /// 1–5.
    pub current_step: u32,
    /// 5.
    pub num_steps: u32,
    #[serde(default, deserialize_with = "lenient::text_or_empty")]
    pub description: String,
}

/// Money on the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Balance {
    #[serde(deserialize_with = "lenient::exact_number")]
    pub current_balance: f64,
    pub currency: String,
}

/// A model of the catalog: an entry of the model list, or (with the two last fields) of a single model's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Model {
    /// The id that a start takes, when present.
    #[serde(default)]
    pub model_name: Option<String>,
    pub model_id: String,
    #[serde(default, deserialize_with = "lenient::text")]
    pub hf_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub instant_provisioned: Option<bool>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub creator: Option<Creator>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub screen_name: Option<String>,
    #[serde(default)]
    pub size: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_info: Option<ModelHardwareInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_config: Option<String>,
    /// By hardware type id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware_configs: Option<BTreeMap<String, HardwareConfig>>,
}

/// The maker of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Creator {
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub url: Option<String>,
}

/// The hardware types that a model can run on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct ModelHardwareInfo {
    #[serde(default, deserialize_with = "null_as_default")]
    pub hardware_configs: Vec<String>,
}

/// How a model runs on one hardware type.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct HardwareConfig {
    #[serde(default)]
    pub hardware_type_id: Option<String>,
    /// Parameters of the inference server; `--max-model-len` is the maximum context length in tokens.
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    pub params: serde_json::Map<String, serde_json::Value>,
    #[serde(default, deserialize_with = "lenient::object_or_default")]
    pub requirements: serde_json::Map<String, serde_json::Value>,
}

impl HardwareConfig {
    /// The maximum context length in tokens, when the catalog states one.
    pub fn max_context_length(&self) -> Option<u32> {
        let value = self.params.get("--max-model-len")?;
        match value.as_str() {
            Some(text) => lenient::tokens(text),
            None => Scalar::deserialize(value).ok()?.count(),
        }
    }
}

/// A hardware type and its price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct HardwareType {
    pub hardware_type_id: String,
    #[serde(default, deserialize_with = "lenient::object")]
    pub price_info: Option<PriceInfo>,
    #[serde(default, deserialize_with = "lenient::object")]
    pub hardware_info: Option<HardwareInfo>,
}

/// Prices of one worker on a hardware type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct PriceInfo {
    #[serde(default, deserialize_with = "lenient::number")]
    pub price_per_hour: Option<f64>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub price_per_minute: Option<f64>,
    #[serde(default, deserialize_with = "lenient::text")]
    pub currency: Option<String>,
}

/// The parts of a hardware type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct HardwareInfo {
    #[serde(default, deserialize_with = "lenient::text")]
    pub gpu_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::count")]
    pub num_gpus: Option<u32>,
    #[serde(default, deserialize_with = "lenient::number")]
    pub gpu_ram_gb: Option<f64>,
}

/// The answer to a delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct DeleteAnswer {
    #[serde(default, deserialize_with = "lenient::text_or_empty")]
    pub message: String,
    #[serde(default)]
    pub instance_id: Option<String>,
}

/// The answer to a stop-all or a delete-all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct AllAnswer {
    #[serde(default, deserialize_with = "lenient::text_or_empty")]
    pub message: String,
    /// An answer without them does not say what came of the call.
    #[serde(deserialize_with = "null_as_default")]
    pub instance_ids: Vec<String>,
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads these types from objects only: what serde derives also takes an array with the fields in order.
macro_rules! from_objects_only {
    ($($name:ident),+ $(,)?) => {
        $(
            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    Self::serialize(self, serializer)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    struct Object;

                    impl<'de> Visitor<'de> for Object {
                        type Value = $name;

                        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                            f.write_str(concat!("the object ", stringify!($name)))
                        }

                        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                            $name::deserialize(MapAccessDeserializer::new(map))
                        }
                    }

                    deserializer.deserialize_map(Object)
                }
            }
        )+
    };
}

from_objects_only! {
    Instance, InstanceArgs, InstanceStatus, WorkerStatus, InitProgress, Balance, Model, Creator, ModelHardwareInfo, HardwareConfig, HardwareType, PriceInfo, HardwareInfo, DeleteAnswer, AllAnswer,
}

/// Progress whose steps can be read.
fn progress<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<InitProgress>, D::Error> {
    #[derive(Deserialize)]
    struct Shown {
        #[serde(default, deserialize_with = "lenient::count")]
        current_step: Option<u32>,
        #[serde(default, deserialize_with = "lenient::count")]
        num_steps: Option<u32>,
        #[serde(default, deserialize_with = "lenient::text_or_empty")]
        description: String,
    }
    let shown: Option<Shown> = lenient::object(deserializer)?;
    Ok(shown.and_then(|shown| {
        Some(InitProgress {
            current_step: shown.current_step?,
            num_steps: shown.num_steps?,
            description: shown.description,
        })
    }))
}

fn first_workers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<WorkerStatus>, D::Error> {
    lenient::first_objects(deserializer, MAX_WORKERS)
}
