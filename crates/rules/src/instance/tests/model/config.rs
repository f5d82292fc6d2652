//! What one run of the checker explores: the resources, what may go wrong, and how often.

use cortecs_resources::instance::DeletionPolicy;

use crate::instance::tests::*;

/// How often each kind of disturbance may happen. What is used up makes its events impossible from there on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budgets {
    /// Calls that start an instance. The only one that cuts what the operator itself would do.
    pub starts: u8,
    pub crashes: u8,
    /// Another process takes the lease over.
    pub takeovers: u8,
    /// Calls and writes that do not end as they should.
    pub faults: u8,
    /// Lists that show an instance as it was before.
    pub lags: u8,
    /// Lists that show nothing, however long after.
    pub cuts: u8,
    /// Times that the watch falls behind.
    pub freezes: u8,
    /// What people ask for.
    pub orders: u8,
    /// Equal instances that an outsider starts.
    pub strangers: u8,
    /// Open starts that are overtaken. Like `starts`, it cuts what the operator itself would do.
    pub overtakes: u8,
}

impl Budgets {
    /// Whether everything that may happen with the other may happen with this.
    pub fn covers(&self, other: &Self) -> bool {
        self.counts()
            .iter()
            .zip(other.counts())
            .all(|(mine, other)| *mine >= other)
    }

    pub fn counts(&self) -> [u8; 10] {
        [
            self.starts,
            self.crashes,
            self.takeovers,
            self.faults,
            self.lags,
            self.cuts,
            self.freezes,
            self.orders,
            self.strangers,
            self.overtakes,
        ]
    }
}

/// A resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub workers: i32,
    pub policy: DeletionPolicy,
    pub begin: Begin,
    /// The catalog fails for its model, which the API shows otherwise than the spec spells it.
    pub misspelt: bool,
}

/// How a resource is found at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// As its creator left it.
    New,
    /// With the finalizer.
    Ready,
    /// With an instance that runs.
    Running,
    /// With an instance that is stopped, as asked.
    Stopped,
}

/// What a person does to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Delete,
    Stop,
    Run,
    Restart,
    /// Another number of workers.
    Resize,
    /// Removed with its finalizer.
    Force,
}

/// How a call, or a write, ends that does not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429: it has no effect.
    Refused,
    LostBefore,
    LostAfter,
    /// No answer, and the effect comes later.
    Late,
    /// It has its effect, and something in front of the API answers with this status.
    Status(u16),
    /// A write to Kubernetes lands, and its answer is lost.
    WriteLost,
}

/// A rule that is switched off, to see that the checker notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Off {
    /// One that decisions enforce.
    Decided(Rule),
    /// The intent is not persisted before the call.
    IntentWrite,
    /// Who lost the lease acts on.
    Deadline,
    /// 3xx, 402, 408 and 409 are taken as a refusal.
    StatusClasses,
    /// An intent does not say which instances were there before.
    KnownIds,
    /// The operator does not know that others start instances in the account too.
    Sharing,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub name: &'static str,
    pub kinds: Vec<Kind>,
    pub budgets: Budgets,
    /// What may be asked for, and of which resource.
    pub orders: Vec<(usize, Order)>,
    pub faults: Vec<Fault>,
    /// A call may last until the next tick.
    pub slow: bool,
    /// Other people start instances in the account too.
    pub shared: bool,
    /// Answers leave the number of workers out: all instances look alike.
    pub omits: bool,
    /// A process that begins while the watch lags begins with what it says. The operator begins with a list that no
    /// cache answers; this takes that away, to see what the quorum read does by itself.
    pub stale: bool,
    /// The account has a budget for so many workers. What runs is then looked at more closely, and the goal cannot be reached.
    pub spend: Option<u32>,
    pub off: Vec<Off>,
    /// A person answers what is asked; otherwise what asks is not expected to reach its goal.
    pub answers: bool,
    /// The search is cut after about so many states, counted with repetitions; 0: it is not.
    pub most: usize,
    /// Whether the goal is looked for, from each state.
    pub goal: bool,
}

/// A call that is lost after its effect is a late one whose effect comes at once, so it is not among them.
pub const FAULTS: [Fault; 4] = [
    Fault::Refused,
    Fault::LostBefore,
    Fault::Late,
    Fault::WriteLost,
];

pub const NEW: Kind = Kind {
    workers: 1,
    policy: DeletionPolicy::Delete,
    begin: Begin::New,
    misspelt: false,
};
pub const READY: Kind = Kind {
    begin: Begin::Ready,
    ..NEW
};
pub const RUNNING: Kind = Kind {
    begin: Begin::Running,
    ..NEW
};
/// Of the same model, which the spec spells otherwise.
pub const MISSPELT: Kind = Kind {
    misspelt: true,
    ..READY
};
/// Of the same model, and not equal.
pub const OTHER: Kind = Kind {
    workers: 2,
    ..READY
};

impl Config {
    /// Everything is seen as it is and nothing goes wrong.
    pub fn new(name: &'static str, kinds: &[Kind]) -> Self {
        Self {
            name,
            kinds: kinds.to_vec(),
            budgets: Budgets {
                starts: 4,
                ..Budgets::default()
            },
            orders: Vec::new(),
            faults: FAULTS.to_vec(),
            slow: false,
            shared: false,
            omits: false,
            stale: false,
            spend: None,
            off: Vec::new(),
            answers: true,
            most: 0,
            goal: true,
        }
    }

    /// Whether the first two resources can be taken for each other.
    pub fn is_symmetric(&self) -> bool {
        let orders = |k: usize| -> Vec<Order> {
            let of = self.orders.iter().filter(|(of, _)| *of == k);
            of.map(|(_, order)| *order).collect()
        };
        // Of two that wait for the budget the older one goes first, and by its name one of them is the older.
        self.spend.is_none()
            && self.kinds.len() > 1
            && self.kinds[0] == self.kinds[1]
            && orders(0) == orders(1)
    }

    pub fn rules(&self) -> Rules {
        let decided = self.off.iter().find_map(|off| match off {
            Off::Decided(rule) => Some(*rule),
            _ => None,
        });
        Rules::without(decided)
    }

    pub fn is_off(&self, off: Off) -> bool {
        self.off.contains(&off)
    }
}
