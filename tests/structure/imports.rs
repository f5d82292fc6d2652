//! The paths in one file.

use std::collections::BTreeMap;

use syn::{Attribute, Item, ItemMod, UseTree, visit::Visit};

use crate::{packages::PACKAGES, sources::Module};

/// Collects the absolute paths in a file.
pub struct Imports {
    pub module: Module,
    pub package: Module,
    pub names: BTreeMap<String, Module>,
    pub found: Vec<Module>,
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
