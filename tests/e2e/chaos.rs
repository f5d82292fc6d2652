//! The operator's process is killed and paused at random while people change resources and the API fails. In the end each
//! resource has exactly the instance that its spec asks for, and no other instance exists.
//!
//! The seed decides which events happen and when; it does not decide how they interleave. `CHAOS_SEED`, `CHAOS_KILLS` and
//! `CHAOS_RESOURCES` set the run. Several lanes run side by side, each with its own resources, API and pair of processes: a
//! lane spends most of its time on waiting for the Lease of a dead leader to expire.

mod bills;
mod failures;
mod left;
mod people;
mod plan;
mod processes;
mod quiet;
mod tally;
mod trace;
mod verdict;

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use cortecs_resources::instance::DeletionPolicy;
use failures::Period;
use futures::future::join_all;
use plan::{People, Stream, rng};
use processes::Processes;
use tally::Tally;
use tokio::time::{Instant, sleep};
use verdict::Now;

use crate::harness::{Bed, polls_every_second};

const LANES: usize = 5;
const SETTLE: Duration = Duration::from_secs(6);
const STEP: Duration = Duration::from_millis(150);
/// How long resources may take after the last fault: until the Lease of a dead leader expires, the last backoff ends, and the
/// settle time has passed several times.
const GRACE: Duration = Duration::from_secs(180);
const SAMPLE: Duration = Duration::from_millis(700);

struct Settings {
    seed: u64,
    kills: u32,
    resources: usize,
}

impl Settings {
    fn read() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(
                text.parse::<u64>()
                    .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
            )
        };
        Self {
            seed: number("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000_000)),
            kills: number("CHAOS_KILLS")
                .map_or(25, |kills| u32::try_from(kills).expect("fewer kills")),
            resources: number("CHAOS_RESOURCES").map_or(40, |number| {
                usize::try_from(number).expect("fewer resources")
            }),
        }
    }

    fn command(&self) -> String {
        let Self {
            seed,
            kills,
            resources,
        } = self;
        format!("CHAOS_SEED={seed} CHAOS_KILLS={kills} CHAOS_RESOURCES={resources} make chaos")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos() {
    let settings = Settings::read();
    let folder = PathBuf::from("target/chaos").join(settings.seed.to_string());
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder);
    say(&format!("chaos: {}\n", settings.command()));
    let began = Instant::now();
    let lanes = join_all((0..LANES).map(|number| lane(&settings, number, &home))).await;
    let mut tally = Tally::default();
    for (number, lane) in lanes.into_iter().enumerate() {
        tally.add(&format!("lane {number}"), lane);
    }
    let mut text = format!(
        "chaos: {} ({:.0} s)\n{}",
        settings.command(),
        began.elapsed().as_secs_f64(),
        tally.table()
    );
    for lane in (0..LANES).map(|number| home.join(number.to_string())) {
        match tally.passed() {
            true => drop(std::fs::remove_dir_all(lane)),
            false => text += &std::fs::read_to_string(lane.join("trace.txt")).unwrap_or_default(),
        }
    }
    let _ = writeln!(text, "  kept in {}", folder.display());
    std::fs::write(home.join("report.txt"), &text).expect("a report");
    say(&text);
    assert!(tally.passed(), "repeat it with: {}", settings.command());
}

/// Prints to the standard output, past the capture of the test harness: also when the test passes.
fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

/// Runs one lane until all its kills have happened and its resources have settled.
async fn lane(settings: &Settings, number: usize, home: &Path) -> Tally {
    let folder = home.join(number.to_string());
    std::fs::create_dir_all(&folder).expect("a folder");
    let seed = settings.seed;
    let bed = Bed::builder("chaos")
        .elected()
        .settle(SETTLE)
        .step(STEP)
        .simulator(|config| {
            config.seed = Some(seed ^ number as u64);
            config.request_log = usize::MAX;
        })
        .report_to(folder.join("history.txt"))
        .without_account()
        .neighbour("b", &[])
        .build()
        .await;
    bed.create_assigned_account(polls_every_second()).await;
    let mut bystander = quiet::bystander(&bed).await;
    let slots = settings.resources.div_ceil(LANES);
    let kills = settings.kills.div_ceil(LANES as u32);
    let people = People::new(rng(seed, number, Stream::People), slots);
    let disruptions = plan::disruptions(rng(seed, number, Stream::Disruptions), kills);
    let (over, created) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut processes, mut failures, mut samples) = (
        Processes::new(&bed, &folder),
        Tally::default(),
        Tally::default(),
    );

    let disrupt = async {
        processes.disrupt(disruptions).await;
        over.store(true, Ordering::Relaxed);
    };
    let (_, actions, _, _) = tokio::join!(
        disrupt,
        people::act(&bed, people, &created, &over),
        fail_api(
            &bed,
            rng(seed, number, Stream::Failures),
            &over,
            &mut failures
        ),
        sample(&bed, &created, &over, &mut samples),
    );
    let calm = Instant::now();
    processes.recover().await;
    let mut now = settled(&bed, &actions, &mut processes, calm).await;
    let settled = calm.elapsed();
    if now.is_settled() {
        // Settled resources stay settled.
        processes.pass(2 * SETTLE).await;
        now = Now::look(&bed, &actions).await;
        quiet::failover(&bed, &mut processes).await;
    }
    processes.end();
    quiet::stands_off(&bed, &mut bystander, &mut processes.tally).await;

    let requests = bed.api.requests();
    let mut tally = std::mem::take(&mut processes.tally);
    verdict::judge(&bed, &actions, &requests, &processes.sleeps, &mut tally);
    bills::judge(&bed, &actions, &folder, &mut tally);
    tally.created = created.load(Ordering::Relaxed);
    tally.changed = actions.changed;
    tally.deleted = actions.deleted;
    tally.settled = settled;
    tally.faults = failures.faults;
    for kind in requests.iter().filter_map(failures::kind) {
        *tally.faults.entry(kind).or_default() += 1;
    }
    tally.samples = samples.samples;
    tally.duplicates.extend(samples.duplicates);
    tally.duplicates.extend(now.duplicates);
    tally.leaks = now.leaks;
    tally.stuck = now.stuck;
    tally.left_stopped = now.left_stopped;
    tally.left_orphaned = now.left_orphaned;
    tally.unresolved = now.unresolved;
    if !tally.passed() {
        let traced = trace::trace(&bed, &requests, &tally.findings(), &folder);
        std::fs::write(folder.join("trace.txt"), traced).expect("a trace");
        bed.tell();
    }
    tally
}

/// Lets the API fail in one way after the other.
async fn fail_api(bed: &Bed, mut rng: fastrand::Rng, over: &AtomicBool, tally: &mut Tally) {
    while !over.load(Ordering::Relaxed) {
        let period = Period::draw(&mut rng);
        period.begin(bed, &mut tally.faults).await;
        sleep(period.lasts).await;
        period.end(bed).await;
    }
    failures::clear(&bed.api);
}

/// Checks again and again that no more instances are billed than there are resources. Each resource has one instance at most,
/// and outlives it, unless it leaves the instance as it is.
async fn sample(bed: &Bed, created: &AtomicU64, over: &AtomicBool, tally: &mut Tally) {
    let mut worst = 0;
    while !over.load(Ordering::Relaxed) {
        sleep(SAMPLE).await;
        // The order matters: resources that went before the look or came after it must not make the test fail.
        let history = bed.instances.history();
        let outlived = history.iter().filter(|(key, versions)| {
            let last = versions.last();
            let orphans = last.is_some_and(|r| r.spec.deletion_policy == DeletionPolicy::Orphan);
            !orphans && bed.instances.latest(key).is_none()
        });
        let gone = outlived.count();
        let billed = bed
            .ever()
            .iter()
            .filter(|instance| instance.is_billed())
            .count() as u64;
        let resources = created.load(Ordering::SeqCst) - gone as u64;
        tally.samples += 1;
        let excess = billed.saturating_sub(resources);
        if excess > worst {
            worst = excess;
            tally.duplicates = vec![format!(
                "{billed} instances were billed for {resources} resources at the same time"
            )];
        }
    }
}

/// Waits until all resources have settled, or the grace period is over.
async fn settled(
    bed: &Bed,
    actions: &people::Actions,
    processes: &mut Processes<'_>,
    calm: Instant,
) -> Now {
    loop {
        let now = Now::look(bed, actions).await;
        if now.is_settled() || calm.elapsed() > GRACE {
            return now;
        }
        processes.pass(Duration::from_millis(500)).await;
        processes.tally.answered += left::answer_questions(bed).await;
    }
}
