//! Changes of many instances at once that do not put the account on hold.

use std::time::Duration;

use cortecs_simulator::Endpoint;
use serde_json::json;

use crate::harness::{
    Bed, bound,
    crowd::{NAMES, crowd, hold},
    running, stopped,
};

fn was_ever_held(bed: &Bed) -> bool {
    bed.account_versions().iter().any(|a| hold(a).is_some())
}

#[tokio::test]
async fn changes_of_the_resources_are_no_mass_change() {
    let bed = Bed::new("brake-orders").await;
    let operator = bed.operator();
    let ids = crowd(&bed).await;
    for name in NAMES {
        bed.annotate(name, "cortecs.ai/restartedAt", "once").await;
    }
    bed.wait_api("restart all", |v| v.count(Endpoint::Restart) == 5)
        .await;
    assert_eq!(bed.all_run(&NAMES).await, ids);

    // Replace all, with a crash in the middle.
    for name in NAMES {
        bed.change(name, json!({"numWorkers": 2})).await;
    }
    bed.wait_api("delete some", |v| v.count(Endpoint::Delete) >= 2)
        .await;
    operator.kill();
    let operator = bed.operator();
    for (name, old) in NAMES.iter().zip(&ids) {
        bed.wait(name, "replaced", |r| running(r) && bound(r) != old)
            .await;
    }

    // Stop all, with a crash in the middle.
    for name in NAMES {
        bed.change(name, json!({"state": "Stopped"})).await;
    }
    operator.kill();
    let operator = bed.operator();
    for name in NAMES {
        bed.wait(name, "stopped", stopped).await;
    }
    for name in NAMES {
        bed.change(name, json!({"state": "Running"})).await;
    }
    bed.all_run(&NAMES).await;

    // Delete all, with a crash in the middle.
    for name in NAMES {
        bed.delete(name).await;
    }
    bed.wait_api("delete some", |v| v.count(Endpoint::Delete) >= 7)
        .await;
    operator.kill();
    let _operator = bed.operator();
    for name in NAMES {
        bed.wait_gone(name).await;
    }
    assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 10));
    assert!(!was_ever_held(&bed));
}

#[tokio::test]
async fn two_lost_instances_are_healed_and_late_lists_are_no_mass_change() {
    // Lists lag by almost the settle time: many of them lack the instances that were just started.
    let bed = Bed::builder("brake-few")
        .request_timeout(Duration::from_secs(3))
        .build()
        .await;
    bed.api.set_list_lag(Duration::from_secs(10));
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    bed.api.set_list_lag(Duration::ZERO);
    bed.api.outsider_stop(&ids[0]).unwrap();
    bed.api.outsider_delete(&ids[1]).unwrap();
    bed.wait("b", "running anew", |r| running(r) && bound(r) != ids[1])
        .await;
    bed.wait_api("restart one", |v| v.count(Endpoint::Restart) == 1)
        .await;
    bed.all_run(&NAMES).await;
    assert_eq!((bed.starts(), bed.existing().len()), (6, 5));
    assert!(!was_ever_held(&bed));
}
