//! What the API answered, and when it is asked again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cortecs_api::{
    answers::Readable,
    types::{HardwareType, Model},
};
use cortecs_clock::Moment;
use cortecs_resources::{CortecsHardwareType, CortecsModel, annotations};
use cortecs_rules::{
    catalog::{
        details::Details,
        kind::{CatalogKind, Owner, Us, owner},
        listing::{Judge, Listing, Removal},
        spec::{is_id, start_id},
    },
    facts::fleet_key::FleetKey,
};

use super::watch::Objects;

/// The answers of the API of one fleet.
pub(super) struct Known {
    pub(super) fleet: FleetKey,
    pub(super) models: Option<Listing<Arc<Model>>>,
    pub(super) hardware: Option<Listing<HardwareType>>,
    /// The hardware types that were available at the last answer.
    pub(super) free: Option<BTreeSet<String>>,
    pub(super) details: Details,
    pub(super) lists_due: Moment,
    pub(super) free_asked_at: Option<Moment>,
    /// The pause after that, if it failed.
    pub(super) free_retry: Option<Duration>,
    model_judge: Judge,
    hardware_judge: Judge,
    /// Whether the log has said that objects of another operator are left alone.
    said_others: bool,
    /// The answer with hardware types that was taken last.
    seen: Option<Arc<Readable<HardwareType>>>,
}

impl Known {
    pub(super) fn new(fleet: FleetKey) -> Self {
        Self {
            fleet,
            models: None,
            hardware: None,
            free: None,
            details: Details::default(),
            lists_due: Moment::default(),
            free_asked_at: None,
            free_retry: None,
            model_judge: Judge::default(),
            hardware_judge: Judge::default(),
            said_others: false,
            seen: None,
        }
    }

    /// Takes a list of models.
    pub(super) fn take_models(
        &mut self,
        list: Readable<Model>,
        objects: &Objects<CortecsModel>,
        us: &Us,
    ) {
        let all = list.entries.len() + list.skipped;
        let entries = list.entries.into_iter().filter_map(|model| {
            let id = start_id(&model).to_owned();
            is_id(&id).then(|| (id, Arc::new(model)))
        });
        let entries: Vec<_> = entries.collect();
        let skipped = all - entries.len();
        let listing = self.model_judge.take(entries, skipped, ids(objects, us));
        tell("models", skipped, listing.as_ref().map(|l| l.removes));
        if let Some(listing) = listing {
            self.details.retain(&listing.entries);
            self.models = Some(listing);
        }
    }

    /// Takes a list of hardware types, unless it was taken before. Whether it was new.
    pub(super) fn take_hardware(
        &mut self,
        list: Option<Arc<Readable<HardwareType>>>,
        objects: &Objects<CortecsHardwareType>,
        us: &Us,
    ) -> bool {
        let Some(list) = list.filter(|list| {
            let seen = self.seen.as_ref();
            seen.is_none_or(|seen| !Arc::ptr_eq(seen, list))
        }) else {
            return false;
        };
        let entries = list.entries.iter().filter_map(|kind| {
            let id = kind.hardware_type_id.clone();
            is_id(&id).then(|| (id, kind.clone()))
        });
        let entries: Vec<_> = entries.collect();
        let skipped = list.entries.len() + list.skipped - entries.len();
        let listing = self.hardware_judge.take(entries, skipped, ids(objects, us));
        tell(
            "hardware types",
            skipped,
            listing.as_ref().map(|l| l.removes),
        );
        if listing.is_some() {
            self.hardware = listing;
        }
        self.seen = Some(list);
        true
    }

    /// Says once that another operator has objects.
    pub(super) fn tell_others<K: CatalogKind>(&mut self, objects: &Objects<K>, us: &Us) {
        let mut objects = objects.values();
        let other = objects.find(|object| owner(object.as_ref(), us) == Owner::OtherOperator);
        if let Some(other) = other.filter(|_| !std::mem::replace(&mut self.said_others, true)) {
            let operator = annotations::value(other.as_ref(), annotations::OPERATOR);
            tracing::warn!(
                name = other.name_any(),
                operator,
                "another operator has written objects of the catalog: they are left alone. If that operator is gone, delete them"
            );
        }
    }
}

/// The ids of this operator's objects.
fn ids<'a, K: CatalogKind>(objects: &'a Objects<K>, us: &'a Us) -> impl Iterator<Item = &'a str> {
    let objects = objects.values();
    let ours = objects.filter(move |object| owner(object.as_ref(), us) == Owner::Us);
    ours.map(|object| K::id(object.spec()))
}

/// Says what is unusual about a list.
fn tell(what: &str, skipped: usize, removes: Option<Removal>) {
    match removes {
        None => tracing::warn!(
            skipped,
            "the API's list of {what} is empty: the objects of the catalog stay as they are"
        ),
        Some(Removal::Missing) => {}
        Some(Removal::IsPartial) => tracing::warn!(
            skipped,
            "entries of the API's list of {what} cannot be read or are too many: no object is removed"
        ),
        Some(Removal::IsShrunk { lacks, of }) => tracing::warn!(
            lacks,
            of,
            "the API's list of {what} lacks more than half of the objects: none is removed unless the next lists lack them, too"
        ),
    }
}
