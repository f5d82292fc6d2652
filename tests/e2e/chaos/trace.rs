//! The history of a finding: the versions of its resources, the requests about its instances, and the ends of the logs.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use cortecs_simulator::{Endpoint, RequestRecord};
use kube::ResourceExt;

use crate::harness::{Bed, Read, bound, mentions};

/// The most findings with a history, and the most lines about each resource or instance and of each log.
const TRACED: usize = 10;
const LINES: usize = 60;

/// The histories of the first findings, and the ends of the last logs in the folder.
pub(super) fn trace(
    bed: &Bed,
    requests: &[RequestRecord],
    findings: &[&String],
    logs: &Path,
) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(TRACED) {
        let _ = writeln!(text, "\n=== {finding}");
        let words: BTreeSet<&str> = finding
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .filter(|word| !word.is_empty())
            .collect();
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for ((_, name), versions) in bed.instances.history() {
            let named = words.contains(name.as_str());
            if !named
                && !versions
                    .iter()
                    .any(|version| words.contains(bound(version)))
            {
                continue;
            }
            let lines = versions.iter().map(|version| {
                let status = version.status.as_ref();
                if named {
                    ids.insert(bound(version).to_owned());
                }
                format!(
                    "{name} version {} generation {:?} {:?} {} deleting {} phase {:?} ready {} instance {:?} start {:?} restart {:?}",
                    version.resource_version().unwrap_or_default(),
                    version.metadata.generation,
                    version.spec.state,
                    version.spec.model_id,
                    version.metadata.deletion_timestamp.is_some(),
                    status.and_then(|s| s.phase),
                    version.reason("Ready"),
                    bound(version),
                    status.and_then(|s| s.slot().start.as_ref()).map(|start| start.id),
                    status.and_then(|s| s.slot().restart.as_ref()).map(|restart| restart.id),
                )
            });
            last(&mut text, lines.collect());
        }
        ids.extend(words.iter().map(|word| (*word).to_owned()));
        let found: Vec<_> = bed
            .ever()
            .into_iter()
            .filter(|history| ids.contains(&history.instance.instance_id))
            .collect();
        for history in &found {
            let _ = writeln!(text, "{history:?}");
        }
        let about = |request: &&RequestRecord| {
            found.iter().any(|history| {
                let instance = &history.instance;
                mentions(request, &instance.instance_id)
                    || request.endpoint == Endpoint::Start
                        && mentions(request, &instance.instance_args.model_id)
            })
        };
        let lines = requests.iter().filter(about).map(|request| {
            format!(
                "request {} {} {} {} token {:?} -> {:?} {}",
                request.sequence,
                request.at,
                request.method,
                request.path,
                request.token,
                request.status,
                request.fault.as_deref().unwrap_or_default()
            )
        });
        last(&mut text, lines.collect());
    }
    for log in newest(logs) {
        let _ = writeln!(
            text,
            "\n=== end of {}",
            log.file_name().unwrap_or_default().display()
        );
        let lines = std::fs::read_to_string(&log).unwrap_or_default();
        last(&mut text, lines.lines().map(str::to_owned).collect());
    }
    text
}

/// Writes the last lines.
fn last(text: &mut String, lines: Vec<String>) {
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        let _ = writeln!(text, "{line}");
    }
}

/// The logs of the two processes that were started last.
fn newest(logs: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(logs).into_iter().flatten().flatten();
    let mut logs: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .collect();
    logs.sort();
    logs.split_off(logs.len().saturating_sub(2))
}
