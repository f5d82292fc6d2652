//! The rules read no clock, draw no random number and do no I/O.
//!
//! What Cargo can say it says: this crate depends on no runtime, no HTTP, no client of Kubernetes and, built alone, on no clock
//! (`the_manifest_names_nothing_that_does_io`). The standard library and `jiff` can still do all that, so the sources are
//! searched as well.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use std::{fs, path::Path};

/// What the crate may be built of. Whatever is added here must not be able to do I/O, read a clock or draw random numbers.
const DEPENDENCIES: [&str; 11] = [
    "cortecs-api",
    "cortecs-clock",
    "cortecs-resources",
    "jiff",
    "k8s-openapi",
    "kube",
    "percent-encoding",
    "ring",
    "serde_json",
    "url",
    "uuid",
];

const FORBIDDEN: [&str; 14] = [
    "clock::moment",
    "clock::wall",
    "::now(",
    "SystemTime",
    "Instant::",
    "time::Instant",
    "new_v4",
    "fastrand",
    "rand::",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
];

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_manifest_names_nothing_that_does_io() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let section = rest.split("\n[").next().unwrap();
    let lines = section.lines().filter(|line| !line.trim().is_empty());
    for line in lines {
        let name = line.split(['.', ' ', '=']).next().unwrap();
        assert!(DEPENDENCIES.contains(&name), "{name} is new: may it be?");
        // Features such as `client` of kube or of the API bring I/O with them.
        assert!(line.ends_with(".workspace = true"), "features: {line}");
    }
}

#[test]
fn no_source_reads_a_clock_draws_or_does_io() {
    let mut problems = Vec::new();
    let read = search(&folder().join("src"), &mut problems);
    assert_eq!(problems, Vec::<String>::new());
    assert!(read > 40, "only {read} files were read");
}

/// Searches a folder, and says how many files were read. Tests may do what they like.
fn search(path: &Path, problems: &mut Vec<String>) -> usize {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
        let sources = entries.filter(|entry| entry.file_name() != "tests");
        return sources.map(|entry| search(&entry.path(), problems)).sum();
    }
    if path.to_string_lossy().ends_with("_tests.rs") {
        return 0;
    }
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    for line in lines {
        for word in FORBIDDEN.iter().filter(|word| line.contains(**word)) {
            problems.push(format!("{}: {word}", path.display()));
        }
    }
    1
}
