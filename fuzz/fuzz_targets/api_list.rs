//! A list, and what the statuses of an account and of a resource show of it.

#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cortecs_api::answers;
use cortecs_resources::instance_status::CortecsInstanceStatus;
use cortecs_rules::{
    account::summary::{Finances, sum_up},
    facts::{args, snapshot::Snapshot},
    instance::status::show_instance,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(list) = answers::instances(body) else {
        return;
    };
    let ids: BTreeSet<&str> = list.iter().map(|i| i.instance_id.as_str()).collect();
    assert_eq!(ids.len(), list.len());
    assert!(ids.iter().all(|id| (1..=256).contains(&id.len())));
    let mut status = CortecsInstanceStatus::default();
    for instance in &list {
        // Over what the one before left.
        show_instance(&mut status, instance);
        let shown = status.instance_args.as_ref().expect("arguments");
        assert!(args::fits(shown));
        assert!(status.worker_statuses.len() <= 64);
        assert!(status.base_url.as_ref().is_none_or(|url| url.len() <= 2048));
        assert!(status.progress.as_ref().is_none_or(|text| text.len() <= 32));
        let state = status.instance_status.as_ref().expect("a state");
        assert!(state.status.chars().count() <= 64);
    }
    let instances = list
        .into_iter()
        .map(|i| (i.instance_id.clone(), Arc::new(i)));
    let snapshot = Snapshot {
        instances: instances.collect(),
        ..Snapshot::default()
    };
    let summary = sum_up(&snapshot, &BTreeMap::new(), 0, Finances::default(), |_| false);
    assert!(summary.unmanaged.len() <= 50);
    assert!(summary.unmanaged.iter().all(|u| args::fits(&u.args)));
});
