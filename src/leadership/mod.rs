//! Leader election by a `Lease`. The rules are in [`cortecs_rules::lease`].
//!
//! Every write carries the resourceVersion that was read, so two processes never both get the lease. A process that loses the
//! lease ends.
//!
//! `lease_object` reads and makes `Lease` objects.

mod lease_object;

use std::{fmt, sync::Arc, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::sync::watch;

pub use crate::leadership::lease_object::{LEASE_NAME, present_holder};
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_rules::lease::{LeaseObservation, LeaseStep, Loss, RETRY_PERIOD, decide_lease};

use crate::{
    kubernetes::client::{KubeError, KubeErrorKind, bounded},
    leadership::lease_object::{acquired_by, holder, record, released},
};

/// The pause after a conflict.
const CONFLICT_PAUSE: Duration = Duration::from_millis(200);
/// How long the release of the lease may take when the process ends.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(6);

/// The source of moments.
type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// The state of this process in the election. Clones share it. After the drop of the last clone the lease expires.
#[derive(Clone)]
pub struct Leadership {
    standing: Arc<watch::Sender<Standing>>,
    /// Set to true to release the lease.
    release: Arc<watch::Sender<bool>>,
    clock: Clock,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Standing {
    act_until: Option<Moment>,
    end: Option<LeadershipEnd>,
    problem: Option<KubeError>,
}

/// Why a process can no longer become or be the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeadershipEnd {
    /// The process lost the lease.
    Lost(Loss),
    /// The process left the election.
    Released,
}

impl Leadership {
    /// Joins the election for the lease in `namespace` under the name `identity` (see [`identity`]), in a background task. Call this
    /// within a tokio runtime.
    pub fn start(client: Client, namespace: &str, identity: String) -> Self {
        Self::start_with_clock(client, namespace, identity, Arc::new(clock::moment))
    }

    fn start_with_clock(client: Client, namespace: &str, identity: String, clock: Clock) -> Self {
        let standing = Arc::new(watch::Sender::new(Standing::default()));
        let (release, released) = watch::channel(false);
        let election = Election {
            leases: Api::namespaced(client, namespace),
            me: identity,
            observed: LeaseObservation::default(),
            lease: None,
            stale: true,
            standing: Arc::clone(&standing),
            clock: Arc::clone(&clock),
        };
        tokio::spawn(election.run(released));
        Self {
            standing,
            release: Arc::new(release),
            clock,
        }
    }

    /// The leader without an election, until the release. Only for a single process without replicas.
    pub fn always() -> Self {
        Self {
            standing: Arc::new(watch::Sender::new(Standing {
                act_until: Some(Moment::from_boot(Duration::MAX)),
                ..Standing::default()
            })),
            release: Arc::new(watch::Sender::new(false)),
            clock: Arc::new(clock::moment),
        }
    }

    /// Whether this process still has the lease by its own clock. Check this right before every side effect.
    pub fn may_act(&self) -> bool {
        let standing = self.standing.borrow();
        standing.end.is_none()
            && standing
                .act_until
                .is_some_and(|until| (self.clock)() < until)
    }

    /// Completes when this process gets the lease.
    ///
    /// # Errors
    /// If the process has left the election, or has lost the lease since.
    pub async fn acquired(&self) -> Result<(), LeadershipEnd> {
        match self
            .reached(|standing| standing.act_until.is_some() || standing.end.is_some())
            .await
        {
            Standing { end: Some(end), .. } => Err(end),
            _ => Ok(()),
        }
    }

    /// Completes when this process loses the lease; never after a release.
    pub async fn lost(&self) -> Loss {
        match self
            .reached(|standing| matches!(standing.end, Some(LeadershipEnd::Lost(_))))
            .await
            .end
        {
            Some(LeadershipEnd::Lost(loss)) => loss,
            _ => std::future::pending().await,
        }
    }

    /// Why the last read or write of the lease failed. A standby with a problem is not ready.
    pub fn problem(&self) -> Option<KubeError> {
        self.standing.borrow().problem.clone()
    }

    /// Leaves the election: from now on [`Self::may_act`] is false. Releases the lease, so that another process does not have to wait
    /// for its expiry. Call this after the last side effect.
    pub async fn release(&self) {
        self.standing
            .send_if_modified(|standing| standing.act_until.take().is_some());
        let elected = self.release.receiver_count() > 0;
        self.release.send_replace(true);
        if elected {
            self.reached(|standing| standing.end.is_some()).await;
        } else {
            self.standing.send_modify(|standing| {
                standing.end.get_or_insert(LeadershipEnd::Released);
            });
        }
    }

    async fn reached(&self, condition: impl FnMut(&Standing) -> bool) -> Standing {
        let mut receiver = self.standing.subscribe();
        match receiver.wait_for(condition).await {
            Ok(standing) => standing.clone(),
            // An error is impossible: self keeps the sender.
            Err(_) => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership")
            .field("standing", &*self.standing.borrow())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for LeadershipEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(loss) => write!(f, "lost the Lease {LEASE_NAME}: {loss}"),
            Self::Released => write!(f, "released the Lease {LEASE_NAME}"),
        }
    }
}

/// A unique name for this process: the name of the pod and a random part.
pub fn identity() -> String {
    let name = ["POD_NAME", "HOSTNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| LEASE_NAME.to_owned());
    let name: String = name.chars().take(128).collect();
    format!("{name}_{}", uuid::Uuid::new_v4())
}

/// The background task.
struct Election {
    leases: Api<Lease>,
    me: String,
    observed: LeaseObservation,
    /// The object as last read or written.
    lease: Option<Lease>,
    /// Whether `lease` must be read before the next step.
    stale: bool,
    standing: Arc<watch::Sender<Standing>>,
    clock: Clock,
}

impl Election {
    async fn run(mut self, mut released: watch::Receiver<bool>) {
        loop {
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(loss) => {
                    tracing::error!(lease = LEASE_NAME, reason = %loss, "lost the lease");
                    return self.end(LeadershipEnd::Lost(loss));
                }
            };
            let is_release = tokio::select! {
                released = released.wait_for(|released| *released) => released.is_ok(),
                () = tokio::time::sleep(pause) => continue,
            };
            if is_release {
                if tokio::time::timeout(RELEASE_TIMEOUT, self.release())
                    .await
                    .is_err()
                {
                    tracing::warn!(
                        lease = LEASE_NAME,
                        "the lease could not be released in time and expires by itself"
                    );
                }
                self.end(LeadershipEnd::Released);
            }
            return;
        }
    }

    /// Reads the lease if the last read is stale, and writes the lease if a write is due. Returns the pause until the next round.
    async fn round(&mut self) -> Result<Duration, Loss> {
        if self.stale || self.observed.act_until().is_none() {
            let result = self.read().await;
            let failed = result.is_err();
            self.report(result);
            if failed {
                return match decide_lease(&self.observed, (self.clock)(), &self.me) {
                    LeaseStep::Lost(loss) => Err(loss),
                    _ => Ok(RETRY_PERIOD),
                };
            }
        }
        match decide_lease(&self.observed, (self.clock)(), &self.me) {
            LeaseStep::Lost(loss) => Err(loss),
            LeaseStep::Wait(pause) => Ok(pause),
            LeaseStep::Acquire | LeaseStep::Renew => {
                let written = self.write().await;
                let pause = match &written {
                    Err(error) if is_conflict(error) => CONFLICT_PAUSE,
                    _ => RETRY_PERIOD,
                };
                self.report(written);
                Ok(pause)
            }
        }
    }

    async fn read(&mut self) -> Result<(), KubeError> {
        let lease = bounded(
            "read the Lease cortecs-operator",
            self.leases.get_opt(LEASE_NAME),
        )
        .await?;
        self.observed
            .saw(lease.as_ref().map(record), (self.clock)());
        self.lease = lease;
        self.stale = false;
        Ok(())
    }

    /// Acquires or renews the lease: writes the name of this process and the time into its last known version.
    async fn write(&mut self) -> Result<(), KubeError> {
        self.stale = true;
        let acquired = acquired_by(&self.me, self.lease.as_ref(), clock::wall());
        let what = "write the Lease cortecs-operator";
        let parameters = PostParams::default();
        let sent = (self.clock)();
        let lease = match &self.lease {
            None => bounded(what, self.leases.create(&parameters, &acquired)).await?,
            Some(_) => {
                bounded(
                    what,
                    self.leases.replace(LEASE_NAME, &parameters, &acquired),
                )
                .await?
            }
        };
        let first = self.observed.act_until().is_none();
        self.observed.wrote(record(&lease), sent, (self.clock)());
        self.lease = Some(lease);
        self.stale = false;
        let act_until = self.observed.act_until();
        self.standing
            .send_modify(|standing| standing.act_until = act_until);
        if first {
            tracing::info!(lease = LEASE_NAME, identity = self.me, "became the leader");
        }
        Ok(())
    }

    async fn release(&mut self) {
        loop {
            if self.stale && self.read().await.is_err() {
                tokio::time::sleep(CONFLICT_PAUSE).await;
                continue;
            }
            let Some(lease) = self
                .lease
                .as_ref()
                .filter(|lease| holder(lease) == Some(&self.me))
            else {
                return;
            };
            let released = released(lease, clock::wall());
            let parameters = PostParams::default();
            let call = self.leases.replace(LEASE_NAME, &parameters, &released);
            if bounded("release the Lease cortecs-operator", call)
                .await
                .is_ok()
            {
                tracing::info!(lease = LEASE_NAME, "released the lease");
                return;
            }
            self.stale = true;
        }
    }

    /// Publishes the outcome of the last read or write, and logs a new problem.
    fn report(&self, outcome: Result<(), KubeError>) {
        // A conflict is normal in an election.
        let problem = outcome.err().filter(|error| !is_conflict(error));
        self.standing.send_if_modified(|standing| {
            let changed = standing.problem != problem;
            if changed && let Some(error) = &problem {
                tracing::warn!(lease = LEASE_NAME, %error, "the Lease cannot be read or written");
            }
            standing.problem = problem;
            changed
        });
    }

    fn end(&self, end: LeadershipEnd) {
        self.standing.send_modify(|standing| {
            standing.act_until = None;
            standing.end.get_or_insert(end);
        });
    }
}

impl Drop for Election {
    /// Also a panic of the task must end all waits for the election.
    fn drop(&mut self) {
        self.end(LeadershipEnd::Released);
    }
}

fn is_conflict(error: &KubeError) -> bool {
    matches!(
        error.kind(),
        KubeErrorKind::Conflict | KubeErrorKind::AlreadyExists
    )
}

#[cfg(test)]
#[path = "leadership_tests.rs"]
mod tests;
