//! Checks regularly whether Kubernetes was restored to an earlier state.

use std::time::Duration;

use cortecs_resources::CortecsInstance;
use kube::{Api, api::ListParams};

use super::{context::Context, quorum};
use crate::kubernetes::{
    client::{KubeError, bounded},
    scope,
};
/// How often the version of the list is compared without a suspicion.
const INTERVAL: Duration = Duration::from_secs(60);

/// The shortest pause between two comparisons.
const PAUSE: Duration = Duration::from_secs(2);

/// Compares the list's version regularly, and all resources after a suspicion; never completes.
pub async fn run(context: &Context) {
    let history = &context.history;
    let mut suspected = false;
    loop {
        if !suspected {
            let suspicion = history.suspicion.notified();
            suspected = tokio::time::timeout(INTERVAL, suspicion).await.is_ok();
        }
        // After a restore, new writes may soon make the list's version newer than the known one; the resources stay older.
        let compared = match suspected {
            true => quorum::read_all(context).await,
            false => compare_lists(context).await,
        };
        match compared {
            Ok(()) => suspected = false,
            Err(error) => tracing::debug!(%error, "cannot compare versions now"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn compare_lists(context: &Context) -> Result<(), KubeError> {
    for scope in context.watches.scopes() {
        let api: Api<CortecsInstance> = scope::api(&context.client, scope);
        let known = context.book.lock().newest().to_owned();
        let params = ListParams::default().limit(1);
        let what = "compare versions";
        let list = bounded(what, async { api.list_metadata(&params).await }).await?;
        let read = list.metadata.resource_version.unwrap_or_default();
        context
            .history
            .compare("the list of instances", &known, &read);
    }
    Ok(())
}
