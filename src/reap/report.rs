//! What `reap` says in the end.

use std::fmt;

use cortecs_resources::key::ObjectKey;
use jiff::Timestamp;

/// What was found and done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each resource whose stop was overdue, in order.
    pub lines: Vec<Line>,
    pub summary: String,
    pub end: End,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No stop is overdue any more.
    Done,
    /// A stop is still overdue.
    Overdue,
    /// A stop is overdue, and another process holds the Lease.
    LeaseHeld,
}

/// A resource whose stop was overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub resource: ObjectKey,
    /// The id of its instance; empty while a start is open.
    pub instance: String,
    /// Since when the stop was overdue.
    pub since: Timestamp,
    pub fate: Fate,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Stopped,
    Gone,
    NotDue,
    /// The account is another operator's, which is installed in this namespace.
    Others(String),
    /// It still runs, and why.
    Runs(String),
    /// A start is open: nothing proves which instance it has made, if any.
    StartOpen,
}

impl End {
    /// 1 is a failure and 2 a wrong flag.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Overdue => 3,
            Self::LeaseHeld => 4,
        }
    }
}

impl Fate {
    /// Whether something is left to be done.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Runs(_) | Self::StartOpen)
    }
}

impl Report {
    /// The report about these resources.
    pub fn of(lines: Vec<Line>) -> Self {
        let open = lines.iter().filter(|line| line.fate.is_open()).count();
        let is_other = |line: &&Line| matches!(line.fate, Fate::Others(_));
        let others = lines.iter().filter(is_other).count();
        let summary = match (open, others) {
            (0, 0) => "no stop is overdue any more".to_owned(),
            (0, others) => format!(
                "no stop of this operator is overdue any more; {others} are left to other operators"
            ),
            (open, others) => {
                let ours = lines.len() - others;
                format!("{open} of {ours} stops are still overdue")
            }
        };
        let end = match open {
            0 => End::Done,
            _ => End::Overdue,
        };
        Self {
            lines: in_order(lines),
            summary,
            end,
        }
    }
}

/// The lines by resource.
pub(super) fn in_order(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by(|a, b| a.resource.cmp(&b.resource));
    lines
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            instance,
            since,
            fate,
        } = self;
        write!(f, "{resource}: ")?;
        match instance.as_str() {
            "" => f.write_str("no instance is recorded")?,
            id => write!(f, "instance {id}")?,
        }
        write!(f, ", overdue since {since}: {fate}")
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Gone => f.write_str("the instance is gone"),
            Self::NotDue => f.write_str("left running, as the spec lets it run on"),
            Self::Others(namespace) => {
                write!(f, "left to the operator in namespace {namespace}")
            }
            Self::StartOpen => f.write_str(
                "its start is open, so an instance may run that nothing names: look for it at the API, or let the operator run",
            ),
            Self::Runs(why) => write!(f, "still running, because {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, fate: Fate) -> Line {
        Line {
            resource: ObjectKey::new("ns", name),
            instance: "i-1".to_owned(),
            since: Timestamp::UNIX_EPOCH,
            fate,
        }
    }

    #[test]
    fn what_is_left_to_other_operators_is_neither_done_nor_open() {
        let theirs = || line("a", Fate::Others("elsewhere".to_owned()));
        let only = Report::of(vec![theirs()]);
        assert_eq!(only.end, End::Done);
        let said = "no stop of this operator is overdue any more; 1 are left to other operators";
        assert_eq!(only.summary, said);
        let open = Report::of(vec![theirs(), line("b", Fate::Runs("so".to_owned()))]);
        assert_eq!(open.end, End::Overdue);
        assert_eq!(open.summary, "1 of 1 stops are still overdue");
        let done = Report::of(vec![line("b", Fate::Stopped)]);
        assert_eq!(done.summary, "no stop is overdue any more");
    }

    #[test]
    fn an_open_start_is_still_overdue_and_names_no_instance() {
        let open = Line {
            instance: String::new(),
            ..line("a", Fate::StartOpen)
        };
        let said = open.to_string();
        let begin =
            "ns/a: no instance is recorded, overdue since 1970-01-01T00:00:00Z: its start is open";
        assert!(said.starts_with(begin), "{said}");
        assert_eq!(Report::of(vec![open]).end, End::Overdue);
    }
}
