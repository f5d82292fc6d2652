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
    /// The id of its instance.
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
        matches!(self, Self::Runs(_))
    }
}

impl Report {
    /// The report about these resources.
    pub fn of(lines: Vec<Line>) -> Self {
        let open = lines.iter().filter(|line| line.fate.is_open()).count();
        let summary = match open {
            0 => "no stop is overdue any more".to_owned(),
            open => format!("{open} of {} stops are still overdue", lines.len()),
        };
        let end = match open {
            0 => End::Done,
            _ => End::Overdue,
        };
        Self {
            lines,
            summary,
            end,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            resource,
            instance,
            since,
            fate,
        } = self;
        write!(
            f,
            "{resource}: instance {instance}, overdue since {since}: {fate}"
        )
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
            Self::Runs(why) => write!(f, "still running, because {why}"),
        }
    }
}
