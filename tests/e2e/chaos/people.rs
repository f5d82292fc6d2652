//! The people who create, change and delete the resources of one lane.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use cortecs_resources::annotations::RESTARTED_AT;
use serde_json::json;
use tokio::time::sleep;

use super::plan::{Deed, People, Wish};
use crate::harness::Bed;

/// What they did.
#[derive(Default)]
pub(super) struct Deeds {
    /// What should be there in the end.
    pub(super) wishes: Vec<Wish>,
    pub(super) changed: u64,
    pub(super) deleted: u64,
    /// Of these an instance stays behind.
    pub(super) kept: BTreeSet<String>,
}

/// Does what the plan says until `over`. `created` is counted up before each resource is asked for.
pub(super) async fn act(
    bed: &Bed,
    mut people: People,
    created: &AtomicU64,
    over: &AtomicBool,
) -> Deeds {
    let mut deeds = Deeds::default();
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let slot = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    while !over.load(Ordering::Relaxed) {
        let (wait, deed) = people.next(|slot| {
            let name = last.get(&format!("r{slot}"));
            name.is_none_or(|name| bed.latest(name).is_none())
        });
        sleep(wait).await;
        match deed {
            None => {}
            Some(Deed::Create(wish)) => {
                created.fetch_add(1, Ordering::SeqCst);
                last.insert(slot(&wish.name), wish.name.clone());
                if wish.keeps {
                    deeds.kept.insert(wish.name.clone());
                }
                bed.create(&wish.name, wish.spec()).await;
            }
            Some(Deed::Change(wish)) => {
                deeds.changed += 1;
                bed.change(&wish.name, wish.spec()).await;
            }
            Some(Deed::Restart { name, word }) => {
                deeds.changed += 1;
                bed.annotate(&name, RESTARTED_AT, &word).await;
            }
            Some(Deed::Delete { name }) => {
                deeds.deleted += 1;
                bed.delete(&name).await;
            }
        }
    }
    deeds.wishes = people.wishes();
    for wish in &deeds.wishes {
        bed.change(&wish.name, json!({"suspend": false})).await;
    }
    deeds
}
