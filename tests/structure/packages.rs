//! The packages of the workspace, and what their manifests name.

use std::process::Command;

use serde_json::Value;

use crate::sources::root;

/// The packages, from the lowest layer to the highest, each with those of the others that it may be built of.
pub const PACKAGES: [(&str, &str, &[&str]); 6] = [
    ("crates/clock", "cortecs_clock", &[]),
    ("crates/api", "cortecs_api", &["cortecs-clock"]),
    ("crates/resources", "cortecs_resources", &[]),
    (
        "crates/rules",
        "cortecs_rules",
        &["cortecs-api", "cortecs-clock", "cortecs-resources"],
    ),
    ("crates/simulator", "cortecs_simulator", &["cortecs-api"]),
    (
        ".",
        "cortecs_operator",
        &[
            "cortecs-api",
            "cortecs-clock",
            "cortecs-resources",
            "cortecs-rules",
        ],
    ),
];

/// A package's dependencies but those of its tests, each with its package name and the features that are asked of it.
fn dependencies(package: &str) -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages.find(|p| p["name"] == package).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| {
            let features = dependency["features"].as_array().unwrap().iter();
            let mut features: Vec<_> = features.map(text).collect();
            if dependency["uses_default_features"] == true {
                features.push("default".to_owned());
            }
            (text(&dependency["name"]), features)
        })
        .collect()
}

#[test]
fn packages_are_built_of_lower_packages_only() {
    for (_, name, may) in PACKAGES {
        for (dependency, _) in dependencies(&name.replace('_', "-")) {
            let is_ours = PACKAGES
                .iter()
                .any(|(_, name, _)| name.replace('_', "-") == dependency);
            assert!(
                !is_ours || may.contains(&dependency.as_str()),
                "{name} needs {dependency}"
            );
        }
    }
}

/// The client of the API and the clock are features, so that the rules and the simulator can be built without them.
#[test]
fn only_the_operator_is_built_with_the_client() {
    for (_, name, may) in PACKAGES {
        let dependencies = dependencies(&name.replace('_', "-"));
        let Some((_, features)) = dependencies.iter().find(|(d, _)| d == "cortecs-api") else {
            assert!(!may.contains(&"cortecs-api"), "{name} is read wrongly");
            continue;
        };
        let has_client = features.iter().any(|f| f == "client" || f == "default");
        assert_eq!(
            has_client,
            name == "cortecs_operator",
            "{name}: {features:?}"
        );
    }
}
