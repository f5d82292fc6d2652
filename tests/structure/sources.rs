//! The source files, and which of them import which.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::visit::Visit;

use crate::{imports::Imports, packages::PACKAGES};

pub type Module = Vec<String>;

/// One source file.
pub struct Source {
    pub path: PathBuf,
    pub module: Module,
    pub imports: Vec<Module>,
    /// The names that the file declares or re-exports by a `use`, each with its path.
    pub names: BTreeMap<String, Module>,
    pub docs: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All sources of all packages but their tests, and the module that each file is.
pub fn sources() -> Vec<Source> {
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

    pub fn name(&self) -> String {
        let path = self.path.strip_prefix(root()).unwrap();
        path.display().to_string()
    }
}

/// From each file to the files that it imports: those whose module its paths lead into.
pub fn arrows(sources: &[Source]) -> BTreeMap<usize, BTreeSet<usize>> {
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
