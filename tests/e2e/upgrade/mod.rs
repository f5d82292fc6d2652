//! Definitions and operator are upgraded while starts and restarts are open.
//!
//! Each folder beside this file has the definitions and the resources as they were stored from the day in its name on. What is in
//! the folders never changes: a later shape gets a folder of its own.

use cortecs_api::types::InstanceArgs;
use cortecs_rules::facts::known::digest;
use jiff::Timestamp;
use uuid::{Uuid, uuid};

use crate::{
    control_plane::assert_succeeded,
    harness::{Bed, CLIENT_ID, MODEL_ID, running, sorted, stopped},
    objects::install_definitions,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/upgrade");

/// The intent of the open start in `resources.yaml`.
const INTENT: Uuid = uuid!("d6f3fae2-bb65-4044-9edf-7ccb5532f970");

/// Starts an instance past the operator; its id.
fn made(bed: &Bed, context_length: u32) -> String {
    let args = InstanceArgs {
        model_id: MODEL_ID.to_owned(),
        context_length: Some(context_length),
        ..InstanceArgs::default()
    };
    let made = bed.api.outsider_start(CLIENT_ID, args);
    made.expect("an instance")
}

/// Stores the resources of this shape, with their statuses.
async fn store(bed: &Bed, shape: &str, values: &[(&str, &str)]) {
    let file = format!("{FOLDER}/{shape}/resources.yaml");
    let mut resources = std::fs::read_to_string(file).expect("resources");
    for (name, value) in values {
        resources = resources.replace(name, value);
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), resources).expect("a written file");
    let path = file.path().to_string_lossy().into_owned();
    for more in [&[][..], &["--subresource=status"]] {
        let args = ["apply", "--server-side", "-f", &path];
        let output = bed.kubectl(&[&args[..], more].concat()).await;
        assert_succeeded("kubectl apply", &output);
    }
}

async fn upgrade_from(name: &'static str, shape: &str) {
    let definitions = format!("{FOLDER}/{shape}/definitions");
    let bed = Bed::builder(name).definitions(&definitions).build().await;
    let [unmanaged, run, restart, start] = [(); 4].map(|()| made(&bed, 16_384));
    let late = made(&bed, 8_000);
    let values = [
        ("$NAMESPACE", bed.namespace.as_str()),
        ("$API_URL", &bed.api_url),
        ("$RUNNING", &run),
        ("$RESTARTING", &restart),
        ("$KNOWN", &digest(INTENT, &unmanaged)),
        ("$NOW", &Timestamp::now().to_string()),
    ];
    store(&bed, shape, &values).await;

    install_definitions(bed.plane).await;
    let _operator = bed.operator();
    for (name, id) in [
        ("running", &run),
        ("restarting", &restart),
        ("starting", &start),
    ] {
        assert_eq!(&bed.runs(name).await, id, "{name}");
    }
    let is_open = |name| {
        bed.instances
            .latest(&(bed.namespace.clone(), name))
            .is_some_and(|resource| {
                let status = resource.status.as_ref();
                status.is_some_and(|s| s.slot().start.is_some() || s.slot().restart.is_some())
            })
    };
    for name in ["restarting", "starting"] {
        bed.wait(name, "resolved", |_| !is_open(name.to_owned()))
            .await;
        bed.wait(name, "running", running).await;
    }
    bed.wait("given-up", "stopped", stopped).await;
    let told = bed.wait_account("telling of the late instance", |account| {
        let unmanaged = account.status.iter().flat_map(|s| &s.unmanaged);
        let mut late = unmanaged.filter(|u| u.id == late && u.probably_of.is_some());
        late.next().is_some()
    });
    told.await;
    bed.wait_lists(2).await;
    // Nothing was started, restarted, stopped or deleted.
    assert_eq!(bed.changes(), [0; 4]);
    let all = vec![unmanaged, run, restart, start, late];
    assert_eq!(sorted(bed.existing()), sorted(all));
}

#[tokio::test]
async fn what_was_stored_since_2026_11_30_is_resolved_after_an_upgrade() {
    upgrade_from("upgrade", "2026-11-30").await;
}
