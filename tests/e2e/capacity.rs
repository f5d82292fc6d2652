//! Hardware that is not available: nothing is asked for in vain, the next best is taken, and what runs goes on running.

use cortecs_resources::CortecsInstance;
use cortecs_simulator::{Effect, Endpoint, Fault};
use kube::ResourceExt;
use serde_json::json;

use crate::harness::{Bed, HARDWARE, MODEL, Read, bound};

const OTHER: &str = "NVIDIA_A100_1";

fn waits(resource: &CortecsInstance) -> bool {
    resource.reason("Reconciling") == "WaitingForCapacity"
}

fn hardware(resource: &CortecsInstance) -> Option<&str> {
    let args = resource.status.as_ref()?.instance_args.as_ref()?;
    args.hardware_type_id.as_deref()
}

fn asked(bed: &Bed) -> u64 {
    bed.api.count(Endpoint::AvailableHardwareTypes)
}

#[tokio::test]
async fn a_start_waits_for_hardware_and_begins_when_it_comes() {
    let bed = Bed::new("capacity").await;
    bed.api.set_capacity(HARDWARE, 0).unwrap();
    let _operator = bed.operator();
    let names = ["one", "two", "three"];
    bed.create_each(&names).await;
    let one = bed.wait("one", "waiting", waits).await;
    assert!(one.message("Reconciling").contains(HARDWARE), "{one:?}");
    for name in names {
        bed.wait(name, "waiting", waits).await;
    }
    // While they wait nothing is written, and one answer is for all.
    let versions = || names.map(|name| bed.latest(name).unwrap().resource_version());
    let (before, calls) = (versions(), asked(&bed));
    bed.wait_lists(4).await;
    assert_eq!((versions(), bed.starts()), (before, 0));
    assert!(asked(&bed) <= calls + 1 && calls <= 2, "{calls} calls");

    bed.api.lift_capacity(HARDWARE).unwrap();
    bed.all_run(&names).await;
    assert_eq!((bed.starts(), bed.existing().len()), (3, 3));
}

#[tokio::test]
async fn a_fallback_is_taken_and_stays() {
    let bed = Bed::new("fallback").await;
    bed.api.set_capacity(HARDWARE, 0).unwrap();
    let operator = bed.operator();
    // The first fallback takes less context than is asked for.
    let spec = json!({
        "modelId": MODEL, "contextLength": 16_000, "hardwareFallbacks": ["NVIDIA_L4_2", OTHER],
    });
    let id = bed.run("phi", spec).await;
    assert_eq!(hardware(&bed.latest("phi").unwrap()), Some(OTHER));
    bed.api.lift_capacity(HARDWARE).unwrap();
    bed.wait_lists(2).await;
    drop(operator);
    let _operator = bed.operator();
    bed.wait_lists(3).await;
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));
}

#[tokio::test]
async fn a_start_that_the_api_refuses_for_lack_of_hardware_waits_for_it() {
    let bed = Bed::new("capacity-late").await;
    bed.api.set_capacity(HARDWARE, 0).unwrap();
    let fails = Effect::fail(500, "Internal error");
    bed.api
        .add_fault(Fault::once(Endpoint::AvailableHardwareTypes, fails));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "waiting", waits).await;
    let stalled = |r: &std::sync::Arc<CortecsInstance>| r.reason("Stalled") == "CallRefused";
    assert!(!bed.versions("phi").iter().any(stalled));
    assert_eq!(bed.starts(), 1);
    bed.api.lift_capacity(HARDWARE).unwrap();
    bed.runs("phi").await;
    assert_eq!(bed.existing().len(), 1);
}

#[tokio::test]
async fn what_runs_goes_on_while_its_replacement_waits_for_hardware() {
    let bed = Bed::new("capacity-replace").await;
    bed.api.set_capacity(OTHER, 0).unwrap();
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"hardwareTypeId": OTHER})).await;
    let phi = bed.wait("phi", "waiting", waits).await;
    assert_eq!(
        (bound(&phi), bed.existing()),
        (id.as_str(), vec![id.clone()])
    );
    assert_eq!(bed.changes(), [1, 0, 0, 0]);
    bed.api.lift_capacity(OTHER).unwrap();
    bed.wait("phi", "replaced", |phi| hardware(phi) == Some(OTHER))
        .await;
    bed.runs("phi").await;
    assert_eq!(bed.changes(), [2, 0, 1, 1]);
}
