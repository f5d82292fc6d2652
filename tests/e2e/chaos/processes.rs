//! The processes of one lane: their starts, pauses and ends.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use cortecs_simulator::Endpoint;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{plan::Disruption, tally::Tally};
use crate::harness::{Bed, Process, SOON};

/// The number of processes that are neither paused nor to be started again.
const REPLICAS: usize = 2;
const LOOK: Duration = Duration::from_millis(20);
/// How long to wait for the call during which the leader is to be killed, and the time between two looks.
const AWAITED: Duration = Duration::from_secs(3);
const MOMENT: Duration = Duration::from_millis(3);
/// A leader may act for this long after its last renewal.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// How long a process may take to notice that it has lost its Lease.
const NOTICE: Duration = Duration::from_secs(30);

/// The pause of a leader. From `from` on, the API must get no changing call with the leader's tokens.
pub(super) struct Sleep {
    pub(super) from: Timestamp,
    /// The newest token at that time. The other processes had none yet.
    pub(super) token: u64,
    pub(super) process: String,
    pub(super) log: PathBuf,
}

fn log_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("process-{number:04}.log"))
}

struct Replica {
    process: Process,
    number: u32,
    /// Whether it is or was the leader.
    leads: bool,
    paused: Option<Pause>,
    /// The time until which it has to end, without a changing call to the API.
    doomed: Option<Instant>,
}

/// A pause under way.
struct Pause {
    since: Instant,
    until: Instant,
    /// What to record if the pause was longer than the Lease.
    sleep: Sleep,
}

pub(super) struct Processes<'a> {
    bed: &'a Bed,
    logs: PathBuf,
    replicas: Vec<Replica>,
    started: u32,
    /// The earliest time of the next start of a process.
    back: Instant,
    pub(super) sleeps: Vec<Sleep>,
    pub(super) tally: Tally,
}

impl<'a> Processes<'a> {
    pub(super) fn new(bed: &'a Bed, logs: &Path) -> Self {
        Self {
            bed,
            logs: logs.to_owned(),
            replicas: Vec::new(),
            started: 0,
            back: Instant::now(),
            sleeps: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Carries out the disruptions one after the other.
    pub(super) async fn disrupt(&mut self, disruptions: Vec<(Disruption, Duration, Duration)>) {
        for (disruption, gap, back) in disruptions {
            self.pass(gap).await;
            match disruption {
                Disruption::KillLeader { after, upon } => {
                    if let Some(leader) = self.leader_at_work(after, upon).await {
                        self.kill(leader, back).await;
                    }
                }
                Disruption::KillOther => {
                    if let Some(other) = self.other().await {
                        self.kill(other, back).await;
                    }
                }
                Disruption::KillBoth { after } => {
                    if let Some(leader) = self.leader_at_work(after, None).await {
                        self.kill(leader, back).await;
                        if let Some(other) = self.other().await {
                            self.kill(other, back).await;
                        }
                    }
                }
                Disruption::PauseLeader { after, upon, pause } => {
                    if let Some(leader) = self.leader_at_work(after, upon).await {
                        self.pause(leader, pause);
                    }
                }
                Disruption::PauseOther { pause } => {
                    if let Some(other) = self.other().await {
                        self.pause(other, pause);
                    }
                }
                Disruption::Terminate { after } => {
                    if let Some(leader) = self.leader_at_work(after, None).await {
                        self.terminate(leader).await;
                    }
                }
            }
        }
    }

    /// Ends all pauses, and waits until the processes that lost their Lease have ended.
    pub(super) async fn recover(&mut self) {
        for replica in &mut self.replicas {
            if let Some(pause) = &mut replica.paused {
                pause.until = Instant::now();
            }
        }
        while self
            .replicas
            .iter()
            .any(|r| r.paused.is_some() || r.doomed.is_some())
        {
            self.pass(LOOK).await;
        }
    }

    /// Lets time pass. Meanwhile it ends pauses and starts processes when their time has come.
    pub(super) async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            self.tend();
            let now = Instant::now();
            if now >= until {
                return;
            }
            sleep(LOOK.min(until - now)).await;
        }
    }

    fn tend(&mut self) {
        let now = Instant::now();
        let mut index = 0;
        while index < self.replicas.len() {
            let replica = &mut self.replicas[index];
            if let Some(pause) = replica.paused.take_if(|pause| now >= pause.until) {
                let slept = now - pause.since;
                if replica.leads && slept > DEADLINE {
                    self.sleeps.push(pause.sleep);
                    replica.doomed = Some(now + NOTICE);
                }
                replica.process.signal("CONT");
            }
            if replica.paused.is_some() {
                index += 1;
                continue;
            }
            if let Some(status) = replica.process.status() {
                self.ended(index, status);
                continue;
            }
            replica.leads = replica.leads || replica.process.log().contains("became the leader");
            if replica.doomed.is_some_and(|until| now > until) {
                let number = replica.number;
                replica.doomed = None;
                self.tally.wrong(format!(
                    "process {number} slept past its lease and did not end"
                ));
            }
            index += 1;
        }
        let active = self
            .replicas
            .iter()
            .filter(|r| r.paused.is_none() && r.doomed.is_none());
        if active.count() < REPLICAS && now >= self.back {
            self.started += 1;
            self.replicas.push(Replica {
                process: Process::start(self.bed, format!("process {}", self.started)),
                number: self.started,
                leads: false,
                paused: None,
                doomed: None,
            });
            self.tally.processes += 1;
        }
    }

    /// Records that a process ended by itself. That is right if the process lost the Lease, and wrong otherwise.
    fn ended(&mut self, index: usize, status: ExitStatus) {
        let replica = self.replicas.remove(index);
        let log = replica.process.log();
        let lost = status.code().is_some_and(|code| code != 0) && log.contains("lost the Lease");
        match lost {
            true if replica.doomed.is_some() => self.tally.noticed += 1,
            true => self.tally.gave_up += 1,
            false => self
                .tally
                .wrong(format!("process {} ended: {status}", replica.number)),
        }
        self.keep(&replica);
    }

    fn keep(&self, replica: &Replica) {
        let file = log_of(&self.logs, replica.number);
        std::fs::write(file, replica.process.log()).expect("a log");
    }

    /// Waits for a leader, lets it work for a while, and waits for the API to get the call if one is given. The index of the
    /// leader.
    async fn leader_at_work(&mut self, after: Duration, upon: Option<Endpoint>) -> Option<usize> {
        let deadline = Instant::now() + SOON;
        let number = loop {
            self.tend();
            let leader = self
                .replicas
                .iter()
                .find(|r| r.leads && r.paused.is_none() && r.doomed.is_none());
            if let Some(leader) = leader {
                break leader.number;
            }
            if Instant::now() > deadline {
                self.tally
                    .wrong(format!("no process became the leader within {SOON:?}"));
                return None;
            }
            sleep(LOOK).await;
        };
        self.pass(after).await;
        if let Some(endpoint) = upon {
            let (before, until) = (self.bed.api.count(endpoint), Instant::now() + AWAITED);
            while Instant::now() < until && self.bed.api.count(endpoint) == before {
                sleep(MOMENT).await;
            }
        }
        self.replicas.iter().position(|r| r.number == number)
    }

    /// The index of a process that is not paused, and if possible not the leader.
    async fn other(&mut self) -> Option<usize> {
        let deadline = Instant::now() + SOON;
        loop {
            self.tend();
            let active = self
                .replicas
                .iter()
                .enumerate()
                .filter(|(_, r)| r.paused.is_none() && r.doomed.is_none());
            if let Some((index, _)) = active.min_by_key(|(_, r)| r.leads) {
                return Some(index);
            }
            if Instant::now() > deadline {
                return None;
            }
            sleep(LOOK).await;
        }
    }

    async fn kill(&mut self, index: usize, back: Duration) {
        let mut replica = self.replicas.remove(index);
        if replica.process.status().is_none() {
            replica.process.signal("KILL");
        }
        let status = replica.process.ended().await;
        if status.signal() == Some(9) {
            self.tally.kills += 1;
            self.tally.leaders_killed += u64::from(replica.leads);
        }
        self.keep(&replica);
        self.back = Instant::now() + back;
    }

    fn pause(&mut self, index: usize, pause: Duration) {
        let replica = &mut self.replicas[index];
        replica.process.signal("STOP");
        let since = Instant::now();
        let requests = self.bed.api.requests();
        let tokens = requests.into_iter().filter_map(|request| request.token);
        let sleep = Sleep {
            from: Timestamp::now() + DEADLINE,
            token: tokens.max().unwrap_or_default(),
            process: format!("process {}", replica.number),
            log: log_of(&self.logs, replica.number),
        };
        replica.paused = Some(Pause {
            since,
            until: since + pause,
            sleep,
        });
        self.tally.pauses += 1;
        self.tally.leaders_paused += u64::from(replica.leads);
    }

    async fn terminate(&mut self, index: usize) {
        let number = self.replicas[index].number;
        self.replicas[index].process.signal("TERM");
        let deadline = Instant::now() + NOTICE;
        let mut replica = loop {
            let replica = &mut self.replicas[index];
            if replica.process.status().is_some() || Instant::now() > deadline {
                break self.replicas.remove(index);
            }
            sleep(LOOK).await;
        };
        if replica.process.status().is_none() {
            self.tally
                .wrong(format!("process {number} did not end on SIGTERM"));
            replica.process.signal("KILL");
        }
        let status = replica.process.ended().await;
        if status.code() != Some(0) && !replica.process.log().contains("lost the Lease") {
            self.tally.wrong(format!(
                "process {} ended on SIGTERM: {status}",
                replica.number
            ));
        }
        self.tally.terminated += 1;
        self.keep(&replica);
    }

    /// Kills the leader. Whether another process leads then.
    pub(super) async fn fail_over(&mut self) -> bool {
        let Some(leader) = self.leader_at_work(Duration::ZERO, None).await else {
            return false;
        };
        self.kill(leader, Duration::ZERO).await;
        self.leader_at_work(Duration::ZERO, None).await.is_some()
    }

    /// Ends all processes.
    pub(super) fn end(&mut self) {
        for replica in std::mem::take(&mut self.replicas) {
            self.keep(&replica);
        }
    }
}
