//! Checks the simulator with the published client of the API, `cortecs-py`.
//!
//! Needs `python3` with `venv`, and the package index on the first run. The environment is kept in the target folder.

#![allow(clippy::unwrap_used, clippy::panic)] // All of this file is a test.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use cortecs_simulator::{Endpoint, Simulator, SimulatorConfig};
use tokio::process::Command;

const CLIENT: &str = "cortecs-py==0.1.2";
const INSTALL_DEADLINE: Duration = Duration::from_secs(600);
const DRIVE_DEADLINE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_client_works_against_the_simulator() {
    let python = environment().await;
    let simulator = Simulator::start(SimulatorConfig {
        step_duration: Duration::from_millis(100),
        ..SimulatorConfig::default()
    })
    .await
    .unwrap();
    let mut drive = Command::new(python);
    drive
        .arg(scripts().join("drive.py"))
        .env("CORTECS_API_BASE_URL", simulator.api_url())
        .env("CORTECS_CLIENT_ID", "demo")
        .env("CORTECS_CLIENT_SECRET", "demo-secret")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    let output = run(drive, DRIVE_DEADLINE).await;
    assert!(output.ends_with("all good\n"), "{output}");

    // The simulator's own state agrees with what the client was told.
    let started = simulator.handle().all_started();
    assert!(started.iter().all(|history| history.deleted_at.is_some()));
    let billed: u32 = started.iter().map(|history| history.billed_starts).sum();
    assert_eq!((started.len(), billed), (4, 7));
    let counts = simulator.handle().counts();
    assert_eq!(counts.get(&Endpoint::Unknown), None, "{counts:?}");
    simulator.stop().await;
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cortecs_py")
}

/// The interpreter of a virtual environment with the client. Makes the environment if it is missing or broken.
async fn environment() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("cortecs-py-venv");
    let python = folder.join("bin/python");
    if is_right(&python).await {
        return python;
    }
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(&folder);
    run(create, INSTALL_DEADLINE).await;
    let mut needs = pip(&python);
    needs.arg("-r").arg(scripts().join("requirements.txt"));
    run(needs, INSTALL_DEADLINE).await;
    let mut client = pip(&python);
    client.args(["--no-deps", CLIENT]);
    run(client, INSTALL_DEADLINE).await;
    assert!(
        is_right(&python).await,
        "the client cannot be imported after its installation"
    );
    python
}

fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    pip
}

async fn is_right(python: &Path) -> bool {
    let check = "import importlib.metadata as m, cortecs_py; print('cortecs-py==' + m.version('cortecs-py'))";
    let output = Command::new(python).args(["-c", check]).output().await;
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == CLIENT)
}

/// Runs the command to its end and returns its standard output. Panics with all output if the command fails.
async fn run(mut command: Command, deadline: Duration) -> String {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(deadline, command.output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} took longer than {deadline:?}"))
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}
