//! The writes of the catalog's objects.

use std::{ops::AddAssign, sync::atomic::Ordering};

use cortecs_rules::catalog::plan::Write;
use kube::{
    Api,
    api::{DeleteParams, PostParams, Preconditions},
};

use super::{controller::CatalogController, watch::Watched};
use crate::kubernetes::client::{KubeError, KubeErrorKind, bounded_write};

/// What became of the writes of a pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    pub(super) written: usize,
    /// A write failed, and no event will tell when to make it again.
    pub(super) failed: bool,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.failed |= other.failed;
    }
}

impl CatalogController {
    /// Makes the writes, one after the other.
    pub(super) async fn write<K: Watched>(&self, writes: Vec<Write<K>>) -> Outcome {
        let api: Api<K> = Api::all(self.parts.client.clone());
        let mut outcome = Outcome::default();
        let total = writes.len();
        for write in writes {
            if !self.parts.leadership.may_act() || self.fleet().is_none() {
                outcome.failed = true;
                break;
            }
            match self.write_one(&api, write).await {
                Ok(()) => {
                    outcome.written += 1;
                    self.failing.store(false, Ordering::Relaxed);
                }
                // Someone else was faster. The watch shows what they did.
                Err(error) if is_stale(&error) => {}
                Err(error) => {
                    outcome.failed = true;
                    if error.is_refused() {
                        self.parts.metrics.write_refused(K::CONTROLLER);
                    }
                    if self.failing.swap(true, Ordering::Relaxed) {
                        tracing::debug!(%error, kind = K::CONTROLLER, "an object of the catalog cannot be written");
                    } else {
                        tracing::warn!(%error, kind = K::CONTROLLER, "an object of the catalog cannot be written");
                    }
                    // Another object may be valid. After other failures the next write would most likely fail, too.
                    if error.kind() != KubeErrorKind::Invalid {
                        break;
                    }
                }
            }
        }
        if outcome.written > 0 {
            tracing::info!(
                kind = K::CONTROLLER,
                written = outcome.written,
                of = total,
                "wrote objects of the catalog"
            );
        }
        outcome
    }

    async fn write_one<K: Watched>(&self, api: &Api<K>, write: Write<K>) -> Result<(), KubeError> {
        let params = PostParams::default();
        match write {
            Write::Create(object) => {
                let created = api.create(&params, &object);
                bounded_write("create an object of the catalog", created).await?;
            }
            Write::Replace(object) => {
                let name = object.name_any();
                let replaced = api.replace(&name, &params, &object);
                bounded_write("replace an object of the catalog", replaced).await?;
            }
            Write::Delete(object) => {
                let meta = object.meta();
                let params = DeleteParams::default().preconditions(Preconditions {
                    uid: meta.uid.clone(),
                    resource_version: meta.resource_version.clone(),
                });
                let name = object.name_any();
                bounded_write(
                    "delete an object of the catalog",
                    api.delete(&name, &params),
                )
                .await?;
            }
        }
        Ok(())
    }
}

fn is_stale(error: &KubeError) -> bool {
    matches!(
        error.kind(),
        KubeErrorKind::Conflict | KubeErrorKind::AlreadyExists | KubeErrorKind::NotFound
    )
}
