//! The structure of the sources, read from their imports: no circle between files, no import from a lower layer to a higher one,
//! and a map in every folder.
//!
//! An import is a path in a `use`, in code or in the body of a macro. A path through a re-export leads to the file that has the
//! item. Code under `#[cfg(test)]` does not count. A parent module and its own children may import each other. Calls of methods
//! are not seen: a type's methods belong into the file of the type.
//!
//! `packages` has the packages and their manifests; `sources` reads the files; `imports` finds the paths in one;
//! `lengths` counts lines.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this file is a test"
)]

mod imports;
mod lengths;
mod packages;
mod sources;

use std::collections::BTreeSet;

use sources::{Module, Source, arrows, sources};

/// The folders and files of a module, from the lowest layer to the highest. What stands side by side must not import each other.
const LAYERS: [(&str, &[&[&str]]); 3] = [
    (
        "cortecs_operator",
        &[
            &["mutex", "environment"],
            &["serve"],
            &["kubernetes"],
            &["leadership", "catalog"],
            &["fleet"],
            &["account", "instance", "catalog_objects"],
            &["cli"],
            &["controllers"],
            &["operator", "reap", "check"],
            &["main"],
        ],
    ),
    (
        "cortecs_rules",
        &[
            &["lease", "event", "proxy"],
            &["facts"],
            &["ledger", "cost"],
            &["pacing"],
            &["catalog"],
            &["account"],
            &["instance"],
        ],
    ),
    (
        "cortecs_rules::instance",
        &[
            &["protocol"],
            &["input"],
            &["verdict"],
            &["step"],
            &["status", "cost", "limit", "notes"],
            &["draft"],
            &["waiting"],
            &["gate"],
            &["binding"],
            &["budget"],
            &["pin"],
            &["run"],
            &["start"],
            &["delete", "reap"],
            &["answer"],
            &["record", "record_write", "events"],
        ],
    ),
];

#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources = sources();
    let mut arrows = arrows(&sources);
    for (from, to) in &mut arrows {
        // A parent declares its children, and may use them while they use it.
        let own = sources[*from].module.as_slice();
        to.retain(|to| sources[*to].module.split_last().unwrap().1 != own);
    }
    assert!(arrows.values().map(BTreeSet::len).sum::<usize>() > 200);
    // What imports nothing that is left is in no circle; nor is what then imports nothing that is left.
    while let Some(free) = arrows.iter().find(|(_, to)| to.is_empty()) {
        let free = *free.0;
        arrows.remove(&free);
        arrows.values_mut().for_each(|to| {
            to.remove(&free);
        });
    }
    let name = |n: &usize| sources[*n].name();
    let circles: Vec<String> = arrows
        .iter()
        .map(|(from, to)| {
            let to: Vec<_> = to.iter().map(name).collect();
            format!("{} imports {}", name(from), to.join(" and "))
        })
        .collect();
    assert!(
        circles.is_empty(),
        "in circles, or importing what is:\n{}",
        circles.join("\n")
    );
}

#[test]
fn no_file_imports_from_a_higher_layer() {
    let sources = sources();
    let arrows = arrows(&sources);
    let mut upward = Vec::new();
    for (module, layers) in LAYERS {
        let module: Module = module.split("::").map(str::to_owned).collect();
        let layer = |source: &Source| {
            let rest = source.module.strip_prefix(&module[..])?;
            let name = rest.first()?;
            let layer = layers.iter().position(|l| l.contains(&name.as_str()));
            let layer = layer.unwrap_or_else(|| panic!("{}: in no layer", source.name()));
            Some((layer, name.clone()))
        };
        for (from, to) in &arrows {
            let Some((low, own)) = layer(&sources[*from]) else {
                continue;
            };
            let above = to.iter().filter(|to| {
                layer(&sources[**to])
                    .is_some_and(|(high, other)| high > low || (high == low && other != own))
            });
            upward
                .extend(above.map(|to| {
                    format!("{} imports {}", sources[*from].name(), sources[*to].name())
                }));
        }
    }
    assert!(upward.is_empty(), "upward:\n{}", upward.join("\n"));
}
#[test]
fn every_folder_has_a_map_that_names_its_files() {
    let sources = sources();
    let mut missing = Vec::new();
    for parent in &sources {
        let is_folder = parent.path.ends_with("mod.rs") || parent.path.ends_with("lib.rs");
        let children = sources.iter().filter(|child| {
            is_folder
                && child.module.len() == parent.module.len() + 1
                && child.module.starts_with(&parent.module)
        });
        for child in children {
            let name = child.module.last().unwrap();
            if name == "main" {
                continue;
            }
            let named = [format!("`{name}`"), format!("`{name}/`")];
            if !named.iter().any(|name| parent.docs.contains(name)) {
                missing.push(format!("{} does not name {name}", parent.name()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
