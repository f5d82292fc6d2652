//! The custom resource definitions as they are installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON,
};
use kube::CustomResourceExt;
use serde_json::json;

use crate::{CortecsAccount, CortecsHardwareType, CortecsInstance, CortecsModel};

/// All custom resource definitions, in the order in which they are printed: that of the files in `crds/`.
pub fn all() -> Vec<CustomResourceDefinition> {
    [
        CortecsAccount::crd(),
        CortecsHardwareType::crd(),
        CortecsInstance::crd(),
        CortecsModel::crd(),
    ]
    .into_iter()
    .map(with_status_default)
    .collect()
}

/// The definitions as YAML documents, each with its file name in `crds/`.
///
/// # Errors
/// When a definition cannot be serialised.
pub fn yaml() -> Result<Vec<(String, String)>, serde_yaml::Error> {
    all()
        .into_iter()
        .map(|crd| {
            let name = format!("{}.yaml", crd.spec.names.plural);
            Ok((name, serde_yaml::to_string(&crd)?))
        })
        .collect()
}

/// A resource that no controller has seen yet must not look ready to kstatus: its status starts as `observedGeneration: -1`.
/// The derive has no attribute for it. The kinds of the catalog have no status.
fn with_status_default(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let status = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
            .and_then(|root| root.properties.as_mut())
            .and_then(|properties| properties.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    const CHART: &str = "deploy/helm/cortecs-operator";

    fn committed(path: &str) -> String {
        std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_default()
    }

    #[test]
    fn committed_definitions_are_current() {
        for (name, yaml) in yaml().unwrap() {
            for folder in ["crds", &format!("{CHART}/files/crds")] {
                let path = format!("{folder}/{name}");
                assert!(
                    committed(&path) == yaml,
                    "{path} is out of date: run `make crds`"
                );
            }
        }
    }

    // `make chart` checks the other generated files of the chart, with Helm.
    #[test]
    fn the_install_manifest_has_the_current_definitions() {
        let manifest = committed("deploy/install.yaml");
        for (name, yaml) in yaml().unwrap() {
            let (_, spec) = yaml.split_once("\nspec:\n").unwrap();
            assert!(
                manifest.contains(spec.trim_end()),
                "deploy/install.yaml has another {name}: run `make chart-files`"
            );
        }
    }

    #[test]
    fn the_chart_is_of_this_version() {
        let version = env!("CARGO_PKG_VERSION");
        let has =
            |path: &str, line: &str| committed(path).lines().any(|found| found.trim() == line);
        let chart = format!("{CHART}/Chart.yaml");
        assert!(
            has(&chart, &format!("appVersion: {version}")),
            "{chart} is not of version {version}"
        );
        assert!(
            has(
                "deploy/install.yaml",
                &format!("image: cortecs-operator:{version}")
            ),
            "deploy/install.yaml is not of version {version}: run `make chart-files`"
        );
    }

    #[test]
    fn every_kind_starts_with_an_unobserved_status() {
        for crd in all() {
            let version = &crd.spec.versions[0];
            let root = version
                .schema
                .as_ref()
                .unwrap()
                .open_api_v3_schema
                .as_ref()
                .unwrap();
            let status = root.properties.as_ref().unwrap().get("status");
            let kind = crd.spec.names.kind.as_str();
            if ["CortecsModel", "CortecsHardwareType"].contains(&kind) {
                // Tools need not wait for these objects: no controller changes a status of theirs.
                assert!(status.is_none(), "{kind}");
                continue;
            }
            assert_eq!(
                status.unwrap().default,
                Some(JSON(json!({ "observedGeneration": -1 }))),
                "{kind}"
            );
        }
    }

    #[test]
    fn every_string_list_and_map_is_bounded() {
        fn walk(path: &str, schema: &serde_json::Value, problems: &mut Vec<String>) {
            let kind = schema["type"].as_str().unwrap_or_default();
            let closed = schema["enum"].is_array() || schema["format"].is_string();
            if kind == "string" && !closed && schema["maxLength"].is_null() {
                problems.push(format!("{path}: string without maxLength"));
            }
            if kind == "array" && schema["maxItems"].is_null() {
                problems.push(format!("{path}: list without maxItems"));
            }
            if schema["additionalProperties"].is_object() && schema["maxProperties"].is_null() {
                problems.push(format!("{path}: map without maxProperties"));
            }
            if let Some(properties) = schema["properties"].as_object() {
                for (name, property) in properties {
                    walk(&format!("{path}.{name}"), property, problems);
                }
            }
            for inner in ["items", "additionalProperties"] {
                if schema[inner].is_object() {
                    walk(&format!("{path}[]"), &schema[inner], problems);
                }
            }
        }
        let mut problems = Vec::new();
        for crd in all() {
            let value = serde_json::to_value(&crd).unwrap();
            let properties =
                &value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
            for part in ["spec", "status"] {
                walk(
                    &format!("{}.{part}", crd.spec.names.kind),
                    &properties[part],
                    &mut problems,
                );
            }
        }
        // The types of Kubernetes itself are bounded by the API server's own rules and the object's size.
        problems.retain(|p| !p.contains(".conditions[]") && !p.contains(".selector"));
        assert_eq!(problems, Vec::<String>::new());
    }
}
