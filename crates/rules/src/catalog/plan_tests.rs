use std::sync::Arc;

use cortecs_resources::{
    CortecsHardwareType, annotations, hardware_type::CortecsHardwareTypeSpec, key::ObjectKey,
};
use kube::ResourceExt;
use proptest::prelude::*;

use super::{
    super::{
        kind::{MANAGED_BY, OPERATOR},
        listing::Judge,
    },
    *,
};

fn us() -> Us {
    Us {
        operator: "cortecs-system".to_owned(),
        account: ObjectKey::new("cortecs-system", "default"),
    }
}

type Objects = BTreeMap<String, Arc<CortecsHardwareType>>;
/// An entry of the list is its id and a number that the object shows.
type Listed = Listing<(String, i64)>;

fn spec(
    entry: &(String, i64),
    before: Option<&CortecsHardwareTypeSpec>,
) -> CortecsHardwareTypeSpec {
    CortecsHardwareTypeSpec {
        id: entry.0.clone(),
        gpu_type: None,
        gpu_count: Some(entry.1),
        gpu_ram: None,
        price_per_hour: None,
        price_per_minute: None,
        currency: None,
        available: before.and_then(|before| before.available),
    }
}

fn listing(ids: &[&str], removes: Removal) -> Listed {
    let entries = ids
        .iter()
        .map(|id| ((*id).to_owned(), ((*id).to_owned(), 1)));
    Listing {
        entries: entries.collect(),
        removes,
    }
}

fn writes(objects: &Objects, listing: &Listed) -> Vec<Write<CortecsHardwareType>> {
    plan(objects, listing, &us(), spec)
}

fn apply(objects: &mut Objects, writes: Vec<Write<CortecsHardwareType>>) {
    for write in writes {
        match write {
            Write::Create(object) => {
                let before = objects.insert(object.name_any(), Arc::new(object));
                assert_eq!(before, None, "it was there");
            }
            Write::Replace(object) => {
                let before = objects.insert(object.name_any(), Arc::new(object));
                assert!(before.is_some(), "it was not there");
            }
            Write::Delete(object) => {
                objects.remove(&object.name_any()).unwrap();
            }
        }
    }
}

fn follow(objects: &mut Objects, listing: &Listed) {
    apply(objects, writes(objects, listing));
    assert_eq!(writes(objects, listing), [], "a second pass writes");
}

fn names_of(objects: &Objects) -> Vec<(&str, &str)> {
    let objects = objects.iter();
    objects
        .map(|(name, object)| (name.as_str(), object.spec.id.as_str()))
        .collect()
}

fn change(objects: &mut Objects, name: &str, change: impl FnOnce(&mut CortecsHardwareType)) {
    change(Arc::make_mut(objects.get_mut(name).unwrap()));
}

#[test]
fn objects_follow_the_list() {
    let mut objects = Objects::new();
    follow(
        &mut objects,
        &listing(&["NVIDIA_L4_1", "H100"], Removal::Missing),
    );
    assert_eq!(
        names_of(&objects),
        [("h100", "H100"), ("nvidia-l4-1", "NVIDIA_L4_1")]
    );
    let labels = objects["h100"].labels();
    assert_eq!(labels.get(MANAGED_BY).map(String::as_str), Some(OPERATOR));
    for removes in [
        Removal::IsPartial,
        Removal::IsShrunk { lacks: 1, of: 2 },
        Removal::Missing,
    ] {
        follow(&mut objects, &listing(&["H100"], removes));
        assert_eq!(objects.len() == 1, removes == Removal::Missing);
    }
}

#[test]
fn a_changed_and_a_deleted_object_are_put_back() {
    let mut objects = Objects::new();
    let list = listing(&["a", "b"], Removal::Missing);
    follow(&mut objects, &list);
    let good = objects.clone();
    change(&mut objects, "a", |object| object.spec.gpu_count = Some(7));
    change(&mut objects, "b", |object| {
        object.spec.id = "other".to_owned()
    });
    follow(&mut objects, &list);
    assert_eq!(objects, good);
    change(&mut objects, "a", |object| object.labels_mut().clear());
    change(&mut objects, "b", |object| object.annotations_mut().clear());
    follow(&mut objects, &list);
    assert_eq!(objects, good);
    objects.remove("a");
    follow(&mut objects, &list);
    assert_eq!(objects, good);
    // What others add to an object stays.
    change(&mut objects, "a", |object| {
        object
            .labels_mut()
            .insert("theirs".to_owned(), "x".to_owned());
    });
    let with_label = objects.clone();
    follow(&mut objects, &list);
    assert_eq!(objects, with_label);
}

#[test]
fn two_ids_of_one_name_each_keep_theirs() {
    let mut objects = Objects::new();
    follow(&mut objects, &listing(&["nvidia-l4-1"], Removal::Missing));
    // A newcomer that comes first in order does not take the name.
    let both = listing(&["NVIDIA_L4_1", "nvidia-l4-1"], Removal::Missing);
    follow(&mut objects, &both);
    let hashed = names("NVIDIA_L4_1")[1].clone();
    let expected = [
        ("nvidia-l4-1", "nvidia-l4-1"),
        (hashed.as_str(), "NVIDIA_L4_1"),
    ];
    assert_eq!(names_of(&objects), expected);
    // The name of the other one does not change when the first one goes.
    follow(&mut objects, &listing(&["NVIDIA_L4_1"], Removal::Missing));
    assert_eq!(names_of(&objects), [(hashed.as_str(), "NVIDIA_L4_1")]);
}

#[test]
fn an_object_that_stays_for_now_keeps_its_name_from_a_new_id() {
    let mut objects = Objects::new();
    follow(&mut objects, &listing(&["a_b", "c"], Removal::Missing));
    follow(&mut objects, &listing(&["a-b", "c"], Removal::IsPartial));
    assert_eq!(objects["a-b"].spec.id, "a_b");
    assert_eq!(objects.len(), 3);
}

#[test]
fn the_objects_of_another_operator_are_left_alone() {
    let mut objects = Objects::new();
    follow(&mut objects, &listing(&["A", "b"], Removal::Missing));
    for object in objects.values_mut() {
        let object = Arc::make_mut(object);
        let annotations = object.annotations_mut();
        annotations.insert(annotations::OPERATOR.to_owned(), "elsewhere".to_owned());
        annotations.insert(annotations::ACCOUNT.to_owned(), "elsewhere/main".to_owned());
        object.spec.gpu_count = Some(9);
    }
    let theirs = objects.clone();
    // Neither a second object about what they show, nor their name for another id, nor a removal.
    follow(&mut objects, &listing(&["A", "a"], Removal::Missing));
    let mut expected = theirs;
    let ours = names("a")[1].clone();
    assert_eq!(objects[&ours].spec.id, "a");
    expected.insert(ours.clone(), Arc::clone(&objects[&ours]));
    assert_eq!(objects, expected);
}

#[test]
fn objects_go_with_their_account_to_another_operator_and_stay_with_an_operator_that_changes_its_account()
 {
    let mut objects = Objects::new();
    let list = listing(&["a"], Removal::Missing);
    follow(&mut objects, &list);
    let good = objects.clone();
    for (mark, value) in [
        (annotations::OPERATOR, "elsewhere"),
        (annotations::ACCOUNT, "elsewhere/main"),
    ] {
        change(&mut objects, "a", |object| {
            let annotations = object.annotations_mut();
            annotations.insert(mark.to_owned(), value.to_owned());
        });
        follow(&mut objects, &list);
        assert_eq!(objects, good);
    }
}

#[test]
fn an_object_of_nobody_is_taken_only_for_its_name() {
    let mut objects = Objects::new();
    for name in ["a", "mine"] {
        let object = CortecsHardwareType::new(name, spec(&("x".to_owned(), 3), None));
        objects.insert(name.to_owned(), Arc::new(object));
    }
    let before = objects.clone();
    follow(&mut objects, &listing(&["a"], Removal::Missing));
    assert_eq!(objects["mine"], before["mine"]);
    assert_eq!(objects["a"].spec.id, "a");
}

#[test]
fn an_object_that_is_being_deleted_is_waited_for() {
    let mut objects = Objects::new();
    follow(&mut objects, &listing(&["a", "b"], Removal::Missing));
    for name in ["a", "b"] {
        change(&mut objects, name, |object| {
            let time =
                k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH);
            object.metadata.deletion_timestamp = Some(time);
        });
    }
    assert_eq!(writes(&objects, &listing(&["a"], Removal::Missing)), []);
}

proptest! {
    /// After any sequence of lists each listed id has one object with a valid name, which it keeps; and nothing is written twice.
    #[test]
    fn every_id_has_one_object_and_keeps_its_name(
        lists in proptest::collection::vec(
            (proptest::collection::btree_set("[aAbB_-]{1,3}", 0..6), 0_usize..2),
            1..6,
        ),
    ) {
        let mut objects = Objects::new();
        let mut judge = Judge::default();
        for (ids, skipped) in lists {
            let entries = ids.iter().map(|id| (id.clone(), (id.clone(), 1)));
            let existing = objects.clone();
            let existing = existing.values().map(|object| object.spec.id.as_str());
            let Some(listing) = judge.take(entries, skipped, existing) else { continue };
            let before: BTreeMap<String, String> = objects.iter().map(|(n, o)| (o.spec.id.clone(), n.clone())).collect();
            follow(&mut objects, &listing);
            let after: BTreeMap<String, String> = objects.iter().map(|(n, o)| (o.spec.id.clone(), n.clone())).collect();
            prop_assert_eq!(after.len(), objects.len());
            for (id, name) in &after {
                prop_assert!(names(id).contains(name), "{} is {}", id, name);
                prop_assert!(before.get(id).is_none_or(|before| before == name), "{} was renamed", id);
            }
            prop_assert!(ids.iter().all(|id| after.contains_key(id)));
            prop_assert!(listing.removes != Removal::Missing || after.len() == ids.len());
        }
    }
}
