//! `decide` and what it calls import no client, runtime, clock or randomness.

use std::{fs, path::Path};

/// Everything that a decision is made of.
const PURE: [&str; 16] = [
    "src/instance/decide",
    "src/instance/args.rs",
    "src/instance/claim.rs",
    "src/instance/memory.rs",
    "src/instance/moment.rs",
    "src/instance/record.rs",
    "src/instance/status.rs",
    "src/account/book.rs",
    "src/account/brake.rs",
    "src/account/late.rs",
    "src/account/key.rs",
    "src/account/open_start.rs",
    "src/account/pressure.rs",
    "src/account/snapshot.rs",
    "src/cortecs/types.rs",
    "src/resources",
];

const FORBIDDEN: [&str; 14] = [
    "crate::runtime",
    "tokio",
    "reqwest",
    "kube::Client",
    "kube::Api",
    "kube::runtime",
    "cortecs::client",
    "Timestamp::now",
    "SystemTime",
    "Instant",
    "Uuid::new_v4",
    "fastrand",
    "std::env",
    "std::fs",
];

#[test]
fn nothing_below_decide_does_io() {
    let mut problems = Vec::new();
    for path in PURE {
        check(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(path),
            &mut problems,
        );
    }
    assert_eq!(problems, Vec::<String>::new());
}

fn check(path: &Path, problems: &mut Vec<String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap().path();
            if entry.file_name().is_some_and(|name| name != "tests") {
                check(&entry, problems);
            }
        }
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    for line in lines {
        for word in FORBIDDEN.iter().filter(|word| line.contains(**word)) {
            problems.push(format!("{}: {word}", path.display()));
        }
    }
}
