//! The writes that make the objects of one kind follow a list.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    kind::{CatalogKind, Owner, Us, is_marked, mark, owner},
    listing::{Listing, Removal},
    name::names,
};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write<K> {
    Create(K),
    /// With the resourceVersion that the plan was made from.
    Replace(K),
    /// The name, and the object as the plan knows it: only that one is deleted.
    Delete(K),
}

/// The writes that are missing. `existing` has all objects of the kind, by name; `wanted` makes what an object says from the entry of
/// the list and from what the object says now. None, if all is as it should be.
pub fn plan<K: CatalogKind, T>(
    existing: &BTreeMap<String, impl AsRef<K>>,
    listing: &Listing<T>,
    us: &Us,
    wanted: impl Fn(&T, Option<&K::Spec>) -> K::Spec,
) -> Vec<Write<K>> {
    let named = assign(existing, listing, us);
    let mut writes = Vec::new();
    for (name, entry) in &named {
        let Some(object) = existing.get(name).map(AsRef::as_ref) else {
            let mut object = K::build(name, wanted(entry, None));
            mark(&mut object, us);
            writes.push(Write::Create(object));
            continue;
        };
        if object.meta().deletion_timestamp.is_some() {
            continue;
        }
        let before = (owner(object, us) == Owner::Us).then(|| object.spec());
        let spec = wanted(entry, before);
        if *object.spec() != spec || !is_marked(object, us) {
            let mut next = object.clone();
            *next.spec_mut() = spec;
            mark(&mut next, us);
            writes.push(Write::Replace(next));
        }
    }
    if listing.removes == Removal::Missing {
        let superfluous = existing.iter().filter(|(name, object)| {
            let object = object.as_ref();
            let is_ours = owner(object, us) == Owner::Us;
            is_ours && !named.contains_key(*name) && object.meta().deletion_timestamp.is_none()
        });
        writes.extend(superfluous.map(|(_, object)| Write::Delete(object.as_ref().clone())));
    }
    writes
}

/// The entries of the list by the names of their objects, without those that another operator has objects for. An object keeps its
/// name; of several new ids that could have a name, the first in order gets it.
fn assign<'a, K: CatalogKind, T>(
    existing: &BTreeMap<String, impl AsRef<K>>,
    listing: &'a Listing<T>,
    us: &Us,
) -> BTreeMap<String, &'a T> {
    let mut elsewhere = BTreeSet::new();
    let mut taken = BTreeSet::new();
    // By id: the rank of the name among the names that the id may have, and the name.
    let mut kept: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (name, object) in existing {
        let object = object.as_ref();
        let id = K::id(object.spec());
        match owner(object, us) {
            Owner::Nobody => {}
            Owner::OtherOperator => {
                elsewhere.insert(id);
                taken.insert(name.clone());
            }
            Owner::Us => {
                let Some(rank) = names(id).iter().position(|n| n == name) else {
                    continue;
                };
                if listing.entries.contains_key(id) {
                    let best = kept.entry(id).or_insert((rank, name));
                    *best = (*best).min((rank, name));
                } else if listing.removes != Removal::Missing {
                    taken.insert(name.clone());
                }
            }
        }
    }
    let mut named = BTreeMap::new();
    let listed = || {
        let entries = listing.entries.iter();
        entries.filter(|(id, _)| !elsewhere.contains(id.as_str()))
    };
    for (id, entry) in listed() {
        if let Some((_, name)) = kept.get(id.as_str()) {
            named.insert((*name).to_owned(), entry);
        }
    }
    for (id, entry) in listed().filter(|(id, _)| !kept.contains_key(id.as_str())) {
        let mut names = names(id).into_iter();
        if let Some(name) = names.find(|n| !taken.contains(n) && !named.contains_key(n)) {
            named.insert(name, entry);
        }
    }
    named
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
