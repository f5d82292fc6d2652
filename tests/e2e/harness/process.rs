//! The operator as a process of its own.

use std::{
    fs::File,
    path::Path,
    process::{ExitStatus, Stdio},
};

use tempfile::NamedTempFile;
use tokio::process::{Child, Command};

use super::{SOON, bed::Bed, shared::reaper_kubeconfig};
use crate::eventually::eventually;

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    log: NamedTempFile,
    name: String,
}

impl Process {
    /// Starts the binary for a bed, with leader election.
    pub(crate) fn start(bed: &Bed, name: impl Into<String>) -> Self {
        Self::start_with(bed, &[], name)
    }

    /// Starts the binary with more arguments.
    pub(crate) fn start_with(bed: &Bed, arguments: &[&str], name: impl Into<String>) -> Self {
        let watched = bed.config.watch_namespaces.to_string();
        let watched = ["--watch-namespaces", &watched];
        Self::start_in(bed, &bed.namespace, &[&watched, arguments].concat(), name)
    }

    /// Starts the binary with variables of the environment.
    pub(crate) fn start_where(
        bed: &Bed,
        environment: &[(&str, &str)],
        name: impl Into<String>,
    ) -> Self {
        let watched = bed.config.watch_namespaces.to_string();
        let watched = ["--watch-namespaces", &watched];
        Self::spawn(bed, &bed.namespace, &watched, environment, name)
    }

    /// Starts the binary as it is installed in `namespace`.
    pub(crate) fn start_in(
        bed: &Bed,
        namespace: &str,
        arguments: &[&str],
        name: impl Into<String>,
    ) -> Self {
        Self::spawn(bed, namespace, arguments, &[], name)
    }

    /// Starts the reaper, with the rights of its own role only.
    pub(crate) async fn reap(bed: &Bed, arguments: &[&str]) -> Self {
        let kubeconfig = reaper_kubeconfig(bed.plane, &bed.namespace).await;
        let watched = bed.config.watch_namespaces.to_string();
        let reap = ["reap", "--watch-namespaces", &watched];
        let arguments = [&reap, arguments].concat();
        Self::execute(
            bed,
            &kubeconfig,
            &bed.namespace,
            &arguments,
            &[],
            "the reaper",
        )
    }

    /// Starts the reaper with the operator's rights, and with variables of the environment.
    pub(crate) fn reap_where(bed: &Bed, environment: &[(&str, &str)]) -> Self {
        let watched = bed.config.watch_namespaces.to_string();
        let arguments = ["reap", "--watch-namespaces", &watched];
        Self::execute(
            bed,
            &bed.kubeconfig,
            &bed.namespace,
            &arguments,
            environment,
            "the reaper",
        )
    }

    fn spawn(
        bed: &Bed,
        namespace: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        name: impl Into<String>,
    ) -> Self {
        let run = ["run", "--listen", "127.0.0.1:0"];
        let arguments = [&run, arguments].concat();
        Self::execute(
            bed,
            &bed.kubeconfig,
            namespace,
            &arguments,
            environment,
            name,
        )
    }

    fn execute(
        bed: &Bed,
        kubeconfig: &Path,
        namespace: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
        name: impl Into<String>,
    ) -> Self {
        let log = NamedTempFile::new().expect("a file");
        let out = |log: &NamedTempFile| -> Stdio { log.reopen().map(File::into).expect("a file") };
        let config = &bed.config;
        let default_account = config.default_account.as_ref().expect("a default account");
        let child = Command::new(env!("CARGO_BIN_EXE_cortecs-operator"))
            .args(&arguments[..1])
            .args(["--default-account", &default_account.to_string()])
            .args(["--allowed-api-hosts", &config.allowed_hosts.to_string()])
            .args(["--settle-seconds", &config.settle.as_secs().to_string()])
            .args([
                "--request-timeout-seconds",
                &config.request_timeout.as_secs().to_string(),
            ])
            .args(["--log-level", "debug"])
            .args(&arguments[1..])
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("POD_NAMESPACE", namespace)
            .env("NO_COLOR", "1")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(out(&log))
            .stderr(out(&log))
            .kill_on_drop(true)
            .spawn()
            .expect("the operator starts");
        let name = name.into();
        Self { child, log, name }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self
            .child
            .id()
            .expect("it has not been waited for")
            .to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", signal, &id])
            .status()
            .expect("kill");
        assert!(sent.success(), "{signal} to {}", self.name);
    }

    /// Waits until the process has ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(SOON, self.child.wait())
            .await
            .expect("it ends in time")
            .expect("its status")
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// The exit status, if the process has ended.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its status")
    }

    /// The answer of the health server: status and body. Waits until the server listens.
    pub(crate) async fn get(&mut self, path: &str) -> (u16, String) {
        let mut base = None;
        self.until("it serves", |log| {
            base = address(log);
            base.is_some()
        })
        .await;
        let url = format!("http://{}{path}", base.expect("an address"));
        let answer = reqwest::get(url).await.expect("an answer");
        (
            answer.status().as_u16(),
            answer.text().await.expect("a body"),
        )
    }

    /// Waits until the health server gives the right answer on a path; the body.
    pub(crate) async fn answers(
        &mut self,
        path: &str,
        holds: impl Fn(u16, &str) -> bool,
    ) -> String {
        let what = format!("the right answer of {} on {path}", self.name);
        eventually(&what, SOON, async || {
            let (status, body) = self.get(path).await;
            match holds(status, &body) {
                true => Ok(body),
                false => Err(format!("{status}: {body}")),
            }
        })
        .await
    }

    /// Waits until the log has the right content.
    pub(crate) async fn until(&mut self, what: &str, mut holds: impl FnMut(&str) -> bool) {
        let waited = format!("{}: {what}", self.name);
        eventually(&waited, SOON, async || {
            if holds(&self.log()) {
                return Ok(());
            }
            assert!(self.is_running(), "{} ended before {what}", self.name);
            Err("the log does not say so".to_owned())
        })
        .await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("=== log of {}\n{}", self.name, self.log());
        }
    }
}

/// Whether these metrics are those of the leader.
pub(crate) fn leads(_: u16, metrics: &str) -> bool {
    metrics.contains("leader_election_master_status{name=\"cortecs-operator\"} 1")
}

/// Whether this answer of `/readyz` is that of a process that is not the leader.
pub(crate) fn stands_by(status: u16, body: &str) -> bool {
    (status, body) == (200, "standby\n")
}

/// The address of the health server, from the log.
fn address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("serving /healthz"))?;
    if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
        return line["address"].as_str().map(str::to_owned);
    }
    let rest = line.split("address=").nth(1)?;
    rest.split_whitespace().next().map(str::to_owned)
}
