//! The processes of one lane, and what befalls them.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use cortecs_simulator::Endpoint;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{plan::Blow, tally::Tally};
use crate::harness::{Bed, Process, SOON};

/// Replicas that are neither paused nor about to be started again.
const REPLICAS: usize = 2;
const LOOK: Duration = Duration::from_millis(20);
/// How long a call is awaited in whose middle the leader is to be killed, and how often it is looked for.
const AWAITED: Duration = Duration::from_secs(3);
const MOMENT: Duration = Duration::from_millis(3);
/// A leader may act for this long after its last renewal.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// How long a process may take to notice that its lease is gone.
const NOTICE: Duration = Duration::from_secs(30);

/// A leader that was paused: nothing may be asked with its tokens from `from` on.
pub(super) struct Sleep {
    pub(super) from: Timestamp,
    /// The newest token by then. The others had none yet.
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
    /// It leads, or has led.
    leads: bool,
    paused: Option<Pause>,
    /// It has to end until then, without having done anything.
    doomed: Option<Instant>,
}

/// A pause under way.
struct Pause {
    since: Instant,
    until: Instant,
    /// What is recorded when it turns out to have been too long.
    sleep: Sleep,
}

pub(super) struct Processes<'a> {
    bed: &'a Bed,
    logs: PathBuf,
    replicas: Vec<Replica>,
    started: u32,
    /// Not before then is one started again.
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

    /// Deals the blows one after the other.
    pub(super) async fn suffer(&mut self, blows: Vec<(Blow, Duration, Duration)>) {
        for (blow, gap, back) in blows {
            self.pass(gap).await;
            match blow {
                Blow::KillLeader { after, upon } => {
                    if let Some(leader) = self.leader_at_work(after, upon).await {
                        self.kill(leader, back).await;
                    }
                }
                Blow::KillOther => {
                    if let Some(other) = self.other().await {
                        self.kill(other, back).await;
                    }
                }
                Blow::KillBoth { after } => {
                    if let Some(leader) = self.leader_at_work(after, None).await {
                        self.kill(leader, back).await;
                        if let Some(other) = self.other().await {
                            self.kill(other, back).await;
                        }
                    }
                }
                Blow::PauseLeader { after, upon, pause } => {
                    if let Some(leader) = self.leader_at_work(after, upon).await {
                        self.pause(leader, pause);
                    }
                }
                Blow::PauseOther { pause } => {
                    if let Some(other) = self.other().await {
                        self.pause(other, pause);
                    }
                }
                Blow::Terminate { after } => {
                    if let Some(leader) = self.leader_at_work(after, None).await {
                        self.terminate(leader).await;
                    }
                }
            }
        }
    }

    /// Wakes those that are paused and lets the processes be, as many as there should be.
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

    /// Lets time pass, and does what is due meanwhile.
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

    /// It ended by itself: that is right where it lost the lease, and wrong otherwise.
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

    /// The one that leads, once there is one: after it has done so for a while, and where asked for
    /// when a certain call arrives.
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
                    .wrong(format!("nobody became the leader within {SOON:?}"));
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

    /// One that is not paused, and does not lead if there is a choice.
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

    /// Ends all of them.
    pub(super) fn end(&mut self) {
        for replica in std::mem::take(&mut self.replicas) {
            self.keep(&replica);
        }
    }
}
