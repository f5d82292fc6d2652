//! The structure of the sources, read from their imports: no circle between files, no import from a lower layer to a higher one,
//! and a map in every folder.
//!
//! An import is a path in a `use`, in code or in the body of a macro. A path through a re-export leads to the file that has the
//! item. Code under `#[cfg(test)]` does not count. A parent module and its own children may import each other. Calls of methods
//! are not seen: a type's methods belong into the file of the type.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "all of this file is a test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use syn::{Attribute, Item, ItemMod, UseTree, visit::Visit};

/// The packages, from the lowest layer to the highest, each with those of the others that it may be built of.
const PACKAGES: [(&str, &str, &[&str]); 6] = [
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

/// The folders and files of a module, from the lowest layer to the highest. What stands side by side must not import each other.
const LAYERS: [(&str, &[&[&str]]); 3] = [
    (
        "cortecs_operator",
        &[
            &["mutex"],
            &["serve"],
            &["kubernetes"],
            &["leadership", "catalog"],
            &["fleet"],
            &["account", "instance"],
            &["cli"],
            &["operator", "check"],
            &["main"],
        ],
    ),
    (
        "cortecs_rules",
        &[
            &["lease", "event"],
            &["facts"],
            &["ledger", "cost"],
            &["pacing"],
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
            &["status"],
            &["draft"],
            &["waiting"],
            &["gate"],
            &["binding"],
            &["pin"],
            &["run"],
            &["start"],
            &["delete"],
            &["record", "events"],
        ],
    ),
];

type Module = Vec<String>;

/// One source file.
struct Source {
    path: PathBuf,
    module: Module,
    imports: Vec<Module>,
    /// The names that the file declares or re-exports by a `use`, each with its path.
    names: BTreeMap<String, Module>,
    docs: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All sources of all packages but their tests, and the module that each file is.
fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    for (folder, name, _) in PACKAGES {
        let folder = root().join(folder).join("src");
        read(&folder, &[name.to_owned()], &mut sources);
    }
    sources
}

fn read(folder: &Path, module: &[String], sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if stem == "tests" || stem.ends_with("_tests") || stem.starts_with("test_") {
            continue;
        }
        let child = || [module, std::slice::from_ref(&stem)].concat();
        if path.is_dir() {
            read(&path, &child(), sources);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let module = match stem.as_str() {
                "mod" | "lib" => module.to_vec(),
                _ => child(),
            };
            sources.push(Source::parse(path, module));
        }
    }
}

impl Source {
    fn parse(path: PathBuf, module: Module) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut imports = Imports {
            module: module.clone(),
            // The binary imports its own library by name.
            package: module[..1].to_vec(),
            names: BTreeMap::new(),
            found: Vec::new(),
        };
        imports.visit_file(&file);
        let docs = text.lines().filter(|line| line.starts_with("//!"));
        Self {
            docs: docs.collect::<Vec<_>>().join("\n"),
            imports: imports.found,
            names: imports.names,
            path,
            module,
        }
    }

    fn name(&self) -> String {
        let path = self.path.strip_prefix(root()).unwrap();
        path.display().to_string()
    }
}

/// Collects the absolute paths in a file.
struct Imports {
    module: Module,
    package: Module,
    names: BTreeMap<String, Module>,
    found: Vec<Module>,
}

impl Imports {
    fn absolute(&self, segments: &[String]) -> Module {
        match segments[0].as_str() {
            "crate" => [&self.package, &segments[1..]].concat(),
            "self" => [&self.module, &segments[1..]].concat(),
            "super" => {
                let ups = segments.iter().take_while(|s| *s == "super").count();
                let base = &self.module[..self.module.len() - ups];
                [base, &segments[ups..]].concat()
            }
            first if PACKAGES.iter().any(|(_, name, _)| *name == first) => segments.to_vec(),
            // A name of this file, or another package's: no file has that path.
            _ => [&self.module, segments].concat(),
        }
    }

    fn note(&mut self, segments: &[String]) {
        self.found.push(self.absolute(segments));
    }

    /// A `use` of `segments` as `name`.
    fn declare(&mut self, name: String, segments: &[String]) {
        self.note(segments);
        let absolute = self.absolute(segments);
        self.names.insert(name, absolute);
    }

    fn tree(&mut self, prefix: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) if name.ident == "self" => {
                self.declare(prefix[prefix.len() - 1].clone(), prefix);
            }
            UseTree::Name(name) => self.declare(name.ident.to_string(), &with(&name.ident)),
            UseTree::Rename(name) => self.declare(name.rename.to_string(), &with(&name.ident)),
            UseTree::Glob(_) => self.note(prefix),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(prefix, tree)),
        }
    }
}

impl<'a> Visit<'a> for Imports {
    fn visit_item(&mut self, item: &'a Item) {
        if !is_test(attributes(item)) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'a ItemMod) {
        self.module.push(item.ident.to_string());
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let segments = path.segments.iter().map(|s| s.ident.to_string());
        self.note(&segments.collect::<Vec<_>>());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'a syn::Macro) {
        // The tokens are no syntax tree. Their text has a space on each side of `::`.
        let text = item.tokens.to_string();
        let mut path: Module = Vec::new();
        let mut joined = false;
        for word in text.split_whitespace().chain([""]) {
            let is_name = word.chars().all(|c| c.is_alphanumeric() || c == '_');
            if word == "::" {
                joined = true;
            } else if is_name && joined && !path.is_empty() {
                path.push(word.to_owned());
                joined = false;
            } else {
                if path.len() > 1 {
                    self.note(&path);
                }
                path = Vec::from_iter((is_name && !word.is_empty()).then(|| word.to_owned()));
                joined = false;
            }
        }
        syn::visit::visit_macro(self, item);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let is_test = |a: &Attribute| {
        a.path().is_ident("cfg")
            && a.parse_args::<syn::Path>()
                .is_ok_and(|p| p.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

/// From each file to the files that it imports: those whose module its paths lead into.
fn arrows(sources: &[Source]) -> BTreeMap<usize, BTreeSet<usize>> {
    let files = sources.iter().enumerate();
    let by_module: BTreeMap<&[String], usize> = files.map(|(n, s)| (&s.module[..], n)).collect();
    let mut arrows = BTreeMap::new();
    for (from, source) in sources.iter().enumerate() {
        let mut to = BTreeSet::new();
        for path in &source.imports {
            to.extend(file_of(path, sources, &by_module));
        }
        to.remove(&from);
        arrows.insert(from, to);
    }
    arrows
}

/// The file that has the item at `path`: the file of the longest module in it, or where a name declared there leads.
fn file_of(
    path: &[String],
    sources: &[Source],
    by_module: &BTreeMap<&[String], usize>,
) -> Option<usize> {
    let mut path = path.to_vec();
    // Each round follows one name. More rounds than any chain of re-exports has mean that names lead in a circle.
    for _ in 0..8 {
        let (length, file) = (1..=path.len())
            .rev()
            .find_map(|n| Some((n, *by_module.get(&path[..n])?)))?;
        let name = path.get(length).and_then(|n| sources[file].names.get(n));
        match name {
            Some(target) => path = [target, &path[length + 1..]].concat(),
            None => return Some(file),
        }
    }
    None
}

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
