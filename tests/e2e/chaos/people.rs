//! The people who create, change and delete the resources of one lane.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use cortecs_resources::{annotations::RESTARTED_AT, instance::DeletionPolicy};
use serde_json::json;
use tokio::time::sleep;

use super::plan::{Action, People, Wish};
use crate::harness::Bed;

/// What the people have done.
#[derive(Default)]
pub(super) struct Actions {
    /// The resources that should exist in the end.
    pub(super) wishes: Vec<Wish>,
    pub(super) changed: u64,
    pub(super) deleted: u64,
    /// What becomes of the instance of each resource that was ever created, when the resource is deleted.
    pub(super) policies: BTreeMap<String, DeletionPolicy>,
}

/// Does what the plan says until `over`. Counts `created` up before each creation of a resource.
pub(super) async fn act(
    bed: &Bed,
    mut people: People,
    created: &AtomicU64,
    over: &AtomicBool,
) -> Actions {
    let mut actions = Actions::default();
    while !over.load(Ordering::Relaxed) {
        let (wait, action) = people.next();
        sleep(wait).await;
        match action {
            Action::Create(wish) => {
                created.fetch_add(1, Ordering::SeqCst);
                actions.policies.insert(wish.name.clone(), wish.policy);
                bed.create(&wish.name, wish.spec()).await;
            }
            Action::Change(wish) => {
                actions.changed += 1;
                bed.change(&wish.name, wish.spec()).await;
            }
            Action::Restart { name, word } => {
                actions.changed += 1;
                bed.annotate(&name, RESTARTED_AT, &word).await;
            }
            Action::Delete { name } => {
                actions.deleted += 1;
                bed.delete(&name).await;
            }
        }
    }
    actions.wishes = people.wishes();
    for wish in &actions.wishes {
        bed.change(&wish.name, json!({"suspend": false})).await;
    }
    actions
}
