//! Which process acts: an election by `Lease`, whose rules are in [`cortecs_rules::lease`].
//!
//! Every write carries the resourceVersion that was read, so two processes never both get it. Losing it is final: the process
//! ends, and its successor starts from fresh reads.
//!
//! `lease_object` is the `Lease` as an object; [`peers`] looks at the Leases of other installed operators.

mod lease_object;
pub mod peers;

use std::{fmt, sync::Arc, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::sync::watch;

pub use crate::leadership::lease_object::LEASE_NAME;
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_rules::lease::{LeaseObservation, LeaseStep, Loss, RETRY_PERIOD, decide_lease};

use crate::{
    kubernetes::client::{KubeError, KubeErrorKind, bounded},
    leadership::lease_object::{claimed_by, freed, holder, record},
};

/// After somebody else's write came first, a new look is taken this soon.
const CONFLICT_PAUSE: Duration = Duration::from_millis(200);
/// How long handing the lease over may take when the process ends.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(6);

/// What moments are read from.
type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// This process's standing in the election. Clones share it; when the last one is dropped the lease is left to expire.
#[derive(Clone)]
pub struct Leadership {
    standing: Arc<watch::Sender<Standing>>,
    /// Set to true to hand over.
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
    /// It held the lease and lost it.
    Lost(Loss),
    /// It gave up its part in the election.
    Released,
}

impl Leadership {
    /// Takes part in the election for the lease in `namespace`, in the background, under the name `identity` (see [`identity`]).
    /// To be called within a tokio runtime.
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

    /// A standing without election: always the leader, until released. For one process that nobody else runs beside.
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

    /// Whether this process's own clock proves that the lease is still its own. To be asked right before every side effect.
    pub fn may_act(&self) -> bool {
        let standing = self.standing.borrow();
        standing.end.is_none()
            && standing
                .act_until
                .is_some_and(|until| (self.clock)() < until)
    }

    /// Completes when this process holds the lease for the first time.
    ///
    /// # Errors
    /// When it no longer can: it was released, or lost meanwhile.
    pub async fn acquired(&self) -> Result<(), LeadershipEnd> {
        match self
            .reached(|standing| standing.act_until.is_some() || standing.end.is_some())
            .await
        {
            Standing { end: Some(end), .. } => Err(end),
            _ => Ok(()),
        }
    }

    /// Completes when the lease was held and is lost; never when it was not, or was released.
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

    /// What kept the last look at the lease, or the last write, from succeeding. A standby with a problem is not healthy.
    pub fn problem(&self) -> Option<KubeError> {
        self.standing.borrow().problem.clone()
    }

    /// Ends this process's part: from here on [`Self::may_act`] is false. Where it holds the lease, it is handed over, so that
    /// another process need not wait for its expiry. To be called when the last side effect has ended.
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
            // The sender lives in self.
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

/// A name for this process that no other and no later one has: the pod's, and something random.
pub fn identity() -> String {
    let name = ["POD_NAME", "HOSTNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| LEASE_NAME.to_owned());
    let name: String = name.chars().take(128).collect();
    format!("{name}_{}", uuid::Uuid::new_v4())
}

/// The background task's side.
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
            let asked = tokio::select! {
                asked = released.wait_for(|asked| *asked) => asked.is_ok(),
                () = tokio::time::sleep(pause) => continue,
            };
            if asked {
                if tokio::time::timeout(RELEASE_TIMEOUT, self.hand_over())
                    .await
                    .is_err()
                {
                    tracing::warn!(
                        lease = LEASE_NAME,
                        "could not hand the lease over in time: it expires by itself"
                    );
                }
                self.end(LeadershipEnd::Released);
            }
            return;
        }
    }

    /// One look, where one is needed, and one write, where one is due. Says how long to pause.
    async fn round(&mut self) -> Result<Duration, Loss> {
        if self.stale || self.observed.act_until().is_none() {
            let looked = self.look().await;
            let failed = looked.is_err();
            self.report(looked);
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
                let written = self.claim().await;
                let pause = match &written {
                    Err(error) if came_second(error) => CONFLICT_PAUSE,
                    _ => RETRY_PERIOD,
                };
                self.report(written);
                Ok(pause)
            }
        }
    }

    async fn look(&mut self) -> Result<(), KubeError> {
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

    /// Writes this process's name and the time into the lease as it was last seen.
    async fn claim(&mut self) -> Result<(), KubeError> {
        self.stale = true;
        let claimed = claimed_by(&self.me, self.lease.as_ref(), clock::wall());
        let what = "write the Lease cortecs-operator";
        let parameters = PostParams::default();
        let sent = (self.clock)();
        let lease = match &self.lease {
            None => bounded(what, self.leases.create(&parameters, &claimed)).await?,
            Some(_) => {
                bounded(what, self.leases.replace(LEASE_NAME, &parameters, &claimed)).await?
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

    async fn hand_over(&mut self) {
        loop {
            if self.stale && self.look().await.is_err() {
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
            let freed = freed(lease, clock::wall());
            let parameters = PostParams::default();
            let call = self.leases.replace(LEASE_NAME, &parameters, &freed);
            if bounded("release the Lease cortecs-operator", call)
                .await
                .is_ok()
            {
                tracing::info!(lease = LEASE_NAME, "handed the lease over");
                return;
            }
            self.stale = true;
        }
    }

    /// Publishes the last try's outcome, and logs it where it changed.
    fn report(&self, outcome: Result<(), KubeError>) {
        // Coming second is how elections go.
        let problem = outcome.err().filter(|error| !came_second(error));
        self.standing.send_if_modified(|standing| {
            let changed = standing.problem != problem;
            if changed && let Some(error) = &problem {
                tracing::warn!(lease = LEASE_NAME, %error, "leader election is impaired");
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
    /// Whatever ends the task, nobody waits for it in vain.
    fn drop(&mut self) {
        self.end(LeadershipEnd::Released);
    }
}

fn came_second(error: &KubeError) -> bool {
    matches!(
        error.kind(),
        KubeErrorKind::Conflict | KubeErrorKind::AlreadyExists
    )
}

#[cfg(test)]
#[path = "leadership_tests.rs"]
mod tests;
