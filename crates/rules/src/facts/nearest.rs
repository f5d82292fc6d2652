//! The models and the hardware of the catalog that a misspelt name may have meant.

use cortecs_api::types::Model;

use super::args::normalise_model_id;

/// So many names are offered at most.
const MOST: usize = 3;
/// How alike a name must be, from 0 to 1.
const ALIKE: f64 = 0.85;

/// The names of the models that are most like `wanted`, as `spec.modelId` takes them, the most alike first.
pub fn nearest(wanted: &str, models: &[Model]) -> Vec<String> {
    let wanted = simplified(wanted);
    let mut names: Vec<(f64, String)> = models
        .iter()
        .map(|model| {
            let id = model.model_name.as_ref().unwrap_or(&model.model_id);
            let name = model.hf_name.as_ref().unwrap_or(id);
            let likeness = |name: &str| likeness(&wanted, &simplified(name));
            (likeness(name).max(likeness(id)), name.clone())
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    names.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    names.dedup_by(|a, b| a.1 == b.1);
    names.truncate(MOST);
    names.into_iter().map(|(_, name)| name).collect()
}

/// The hardware type that is most like `wanted`, if one is like it.
pub fn nearest_hardware<'a>(wanted: &str, offered: &[&'a str]) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let likeness = |id: &str| strsim::jaro_winkler(&wanted, &id.to_lowercase());
    let best = offered
        .iter()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= ALIKE).then_some(*best)
}

fn simplified(name: &str) -> String {
    normalise_model_id(name).to_lowercase()
}

/// How alike two names are. Often the maker is left out or is another one, so the name alone counts, too, a little less.
fn likeness(wanted: &str, name: &str) -> f64 {
    let own = |name: &str| name.rsplit("--").next().unwrap_or_default().to_owned();
    let whole = strsim::jaro_winkler(wanted, name);
    whole.max(0.95 * strsim::jaro_winkler(&own(wanted), &own(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_model() {
        let models: Vec<Model> = [
            "microsoft/phi-4",
            "google/gemma-2-9b-it",
            "mistralai/Mistral-7B-Instruct-v0.3",
            "mistralai/Mistral-Small-24B-Instruct-2501",
        ]
        .iter()
        .map(|name| {
            let id = normalise_model_id(name);
            serde_json::from_value(json!({ "model_id": id, "hf_name": name })).unwrap()
        })
        .collect();
        for (wanted, first) in [
            ("microsft/phi4", Some("microsoft/phi-4")),
            ("Microsoft/Phi-4", Some("microsoft/phi-4")),
            ("phi-4", Some("microsoft/phi-4")),
            ("google/gemma-2-9b", Some("google/gemma-2-9b-it")),
            (
                "mistral/Mistral-7B-Instruct",
                Some("mistralai/Mistral-7B-Instruct-v0.3"),
            ),
            ("openai/whisper", None),
        ] {
            let found = nearest(wanted, &models);
            assert_eq!(
                found.first().map(String::as_str),
                first,
                "{wanted}: {found:?}"
            );
            assert!(found.len() <= MOST);
        }
    }

    #[test]
    fn misspelt_hardware_finds_its_type() {
        let offered = [
            "NVIDIA_A100_1",
            "NVIDIA_H100_2",
            "NVIDIA_L40S_1",
            "NVIDIA_L4_1",
        ];
        for (wanted, meant) in [
            ("NVIDIA_L40_1", Some("NVIDIA_L40S_1")),
            ("nvidia_l4_1", Some("NVIDIA_L4_1")),
            ("NVIDIA_H100_1", Some("NVIDIA_H100_2")),
            ("TPU", None),
        ] {
            assert_eq!(nearest_hardware(wanted, &offered), meant, "{wanted}");
        }
        assert_eq!(nearest_hardware("NVIDIA_L4_1", &[]), None);
    }
}
