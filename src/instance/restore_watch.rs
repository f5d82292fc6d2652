//! Looks now and then whether Kubernetes was restored to an earlier state.

use std::time::Duration;

use cortecs_resources::CortecsInstance;
use kube::{Api, api::ListParams};

use super::{context::Context, quorum};
use crate::kubernetes::{
    client::{KubeError, bounded},
    controller,
};
/// How often the version of the list is compared without a reason to doubt.
const INTERVAL: Duration = Duration::from_secs(60);

/// The least distance between two comparisons.
const PAUSE: Duration = Duration::from_secs(2);

/// Compares now and then, and when there is doubt until it is dispelled; never completes.
pub async fn watch_over(context: &Context) {
    let history = &context.history;
    let mut doubted = false;
    loop {
        if !doubted {
            let doubt = history.doubt.notified();
            doubted = tokio::time::timeout(INTERVAL, doubt).await.is_ok();
        }
        // The list's version alone may have caught up since: the resources' have not.
        let looked = match doubted {
            true => quorum::read_by_quorum(context).await,
            false => compare_lists(context).await,
        };
        match looked {
            Ok(()) => doubted = false,
            Err(error) => tracing::debug!(%error, "cannot compare versions now"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn compare_lists(context: &Context) -> Result<(), KubeError> {
    for scope in context.watches.scopes() {
        let api: Api<CortecsInstance> = controller::api(&context.client, scope);
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
