//! The rules read no clock, draw no random number and do no I/O.
//!
//! What Cargo can say it says: this crate depends on no runtime, no HTTP, no client of Kubernetes and, built alone, on no clock
//! (`the_manifest_names_nothing_that_does_io`). The standard library and `jiff` can still do all that, so the sources are
//! searched as well.
#![allow(clippy::unwrap_used, reason = "all of this file is a test")]

use std::{fs, path::Path};

/// What the crate may be built of. Whatever is added here must not be able to do I/O, read a clock or draw random numbers.
const DEPENDENCIES: [&str; 12] = [
    "cortecs-api",
    "cortecs-clock",
    "cortecs-resources",
    "jiff",
    "k8s-openapi",
    "kube",
    "percent-encoding",
    "ring",
    "serde_json",
    "strsim",
    "url",
    "uuid",
];

const FORBIDDEN: [&str; 9] = [
    "clock::moment",
    "clock::wall",
    "::now(",
    "SystemTime",
    "Instant::",
    "time::Instant",
    "new_v4",
    "fastrand",
    "rand::",
];

/// Modules of the standard library that do I/O or depend on the process.
const FORBIDDEN_MODULES: [&str; 7] = ["env", "fs", "io", "net", "os", "process", "thread"];

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
    let code = code(&fs::read_to_string(path).unwrap());
    let found = FORBIDDEN.into_iter().filter(|word| code.contains(word));
    let found = found.map(str::to_owned).chain(std_modules(&code));
    problems.extend(found.map(|word| format!("{}: {word}", path.display())));
    1
}

/// The text without comments and without what stands under `#[cfg(test)]`: one line, or a block up to the brace that ends it.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indent = &line[..line.len() - line.trim_start().len()];
            let mut item = lines.by_ref().skip_while(|l| l.trim().starts_with("#["));
            let end = format!("{indent}}}");
            if item.next().is_some_and(|first| first.ends_with('{')) {
                lines.by_ref().find(|line| *line == end);
            }
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line.trim());
            code.push('\n');
        }
    }
    code
}

/// The forbidden modules of the standard library that the code names: `std::fs`, or `std::{fs, …}` over any number of lines.
fn std_modules(code: &str) -> Vec<String> {
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let mut found = Vec::new();
    for (at, name) in code.match_indices("std::") {
        let rest = &code[at + name.len()..];
        let statement = rest.split(';').next().unwrap();
        let names: Vec<&str> = match statement.strip_prefix('{') {
            Some(group) => group.split(['{', '}', ',']).collect(),
            None => vec![statement],
        };
        for name in names {
            let module = name
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            found.extend(module.filter(|m| FORBIDDEN_MODULES.contains(m)));
        }
    }
    found
        .into_iter()
        .map(|module| format!("std::{module}"))
        .collect()
}

#[test]
fn the_search_finds_what_it_looks_for() {
    let text = "#[cfg(test)]\nmod tests;\nuse std::{\n    collections::BTreeMap,\n    fs,\n};\n";
    assert_eq!(std_modules(&code(text)), ["std::fs"]);
    let text = "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nfn f() { std::env::var(\"A\"); }\n";
    assert_eq!(std_modules(&code(text)), ["std::env"]);
    assert!(code("#[cfg(test)]\nmod tests;\nfn f() { Uuid::new_v4() }\n").contains("new_v4"));
    assert_eq!(
        std_modules("use std::{cmp, fmt::{self, Debug}};"),
        Vec::<String>::new()
    );
}
