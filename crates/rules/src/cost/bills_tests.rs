use proptest::{collection::vec, prelude::*};

use super::*;
use crate::cost::{bill::settle, money::amount};
use cortecs_resources::money::Spent;

fn account() -> ObjectKey {
    ObjectKey::new("team", "main")
}

fn bill(uid: &str) -> Bill {
    Bill {
        uid: uid.to_owned(),
        resource: ObjectKey::new("team", uid),
        currency: "EUR".to_owned(),
        parts: vec![("m".to_owned(), 0.5)],
    }
}

fn at(seconds: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(seconds))
}

fn uids(uids: &[&str]) -> Vec<String> {
    uids.iter().map(|uid| (*uid).to_owned()).collect()
}

#[test]
fn a_resource_waits_for_its_account_and_then_goes() {
    let mut bills = Bills::default();
    assert_eq!(
        bills.submit(&account(), bill("a"), &[], at(1)),
        Answer::Begin
    );
    assert_eq!(
        bills.submit(&account(), bill("a"), &[], at(2)),
        Answer::Wait
    );
    let (settlement, due) = bills.settlement(&account(), &[], |_| true, at(1));
    assert_eq!((settlement.bills.len(), due), (0, Some(GATHER)));
    let (settlement, _) = bills.settlement(&account(), &[], |_| true, at(2));
    assert_eq!(settlement.bills, [bill("a")]);
    let waited = bills.written(&account(), &uids(&["a"]), |_| true);
    assert_eq!(waited, [ObjectKey::new("team", "a")]);
    // Also before the watch has brought the account's status back.
    let answer = bills.submit(&account(), bill("a"), &[], at(3));
    assert_eq!(answer, Answer::Settled);
    assert!(!bills.removed(&account(), bill("a"), &[], at(4)));
    let (settlement, due) = bills.settlement(&account(), &uids(&["a"]), |_| false, at(9));
    assert_eq!((settlement.bills.len(), due), (0, None));
    assert_eq!(settlement.gone, uids(&["a"]));
}

#[test]
fn another_process_goes_on_from_the_status() {
    let mut bills = Bills::default();
    let recorded = uids(&["a"]);
    let (settlement, _) = bills.settlement(&account(), &recorded, |_| true, at(1));
    assert_eq!(settlement.gone, uids(&[]));
    let answer = bills.submit(&account(), bill("a"), &recorded, at(1));
    assert_eq!(answer, Answer::Settled);
    assert!(!bills.removed(&account(), bill("a"), &[], at(2)));
}

#[test]
fn a_deletion_does_not_wait_for_ever_and_its_bill_is_kept() {
    let mut bills = Bills::default();
    assert_eq!(
        bills.submit(&account(), bill("a"), &[], at(1)),
        Answer::Begin
    );
    let late = bills.submit(&account(), bill("a"), &[], at(31));
    assert_eq!(late, Answer::GiveUp);
    assert!(bills.removed(&account(), bill("a"), &[], at(32)));
    let (settlement, _) = bills.settlement(&account(), &[], |_| false, at(33));
    assert_eq!(settlement.bills, [bill("a")]);
    bills.written(&account(), &uids(&["a"]), |_| false);
    // Its removal was seen, so nothing holds the uid.
    let (settlement, _) = bills.settlement(&account(), &uids(&["a"]), |_| false, at(34));
    assert_eq!((settlement.bills.len(), settlement.gone), (0, uids(&["a"])));
}

#[test]
fn a_resource_that_is_removed_by_force_is_billed() {
    let mut bills = Bills::default();
    assert!(bills.removed(&account(), bill("a"), &[], at(1)));
    assert!(!bills.removed(&account(), bill("b"), &uids(&["b"]), at(1)));
    let (settlement, _) = bills.settlement(&account(), &[], |_| false, at(2));
    assert_eq!(settlement.bills, [bill("a")]);
    assert_eq!(bills.without(&account()), [ObjectKey::new("team", "a")]);
    let (settlement, due) = bills.settlement(&account(), &[], |_| false, at(3));
    assert_eq!((settlement.bills.len(), due), (0, None));
}

#[test]
fn an_account_that_cannot_take_bills_holds_nothing_up() {
    let mut bills = Bills::default();
    bills.submit(&account(), bill("a"), &[], at(1));
    bills.removed(&account(), bill("b"), &[], at(1));
    let (settlement, _) = bills.settlement(&account(), &[], |_| true, at(2));
    let waited = bills.dropped(&account(), &settlement.bills);
    assert_eq!(waited, [ObjectKey::new("team", "a")]);
    // Nothing is written again, and the deletion goes on.
    let (settlement, due) = bills.settlement(&account(), &[], |_| true, at(3));
    assert_eq!((settlement.bills.len(), due), (0, None));
    let answer = bills.submit(&account(), bill("a"), &[], at(3));
    assert_eq!(answer, Answer::Settled);
    assert!(!bills.removed(&account(), bill("a"), &[], at(4)));
    // Others are offered to it as before.
    let answer = bills.submit(&account(), bill("c"), &[], at(5));
    assert_eq!(answer, Answer::Begin);
}

/// The answer to the write was lost, and its finalizer was removed by force: the removal is handled a moment after the book has lost it.
#[test]
fn a_removal_that_is_on_its_way_bills_nothing_again() {
    let mut bills = Bills::default();
    bills.submit(&account(), bill("a"), &[], at(1));
    let recorded = uids(&["a"]);
    let (settlement, _) = bills.settlement(&account(), &recorded, |_| false, at(2));
    assert_eq!(settlement.gone, uids(&[]));
    assert!(!bills.removed(&account(), bill("a"), &[], at(3)));
    let (settlement, _) = bills.settlement(&account(), &recorded, |_| false, at(4));
    assert_eq!(settlement.gone, recorded);
}

/// A process that has begun after the write does not know that the removal is on its way.
#[test]
fn a_new_process_keeps_the_uids_of_what_has_just_gone() {
    let mut bills = Bills::default();
    let recorded = uids(&["a"]);
    let settlement = |bills: &mut Bills, second| {
        let (settlement, _) = bills.settlement(&account(), &recorded, |_| false, at(second));
        settlement.gone
    };
    assert_eq!(settlement(&mut bills, 100), uids(&[]));
    assert_eq!(settlement(&mut bills, 109), uids(&[]));
    assert_eq!(settlement(&mut bills, 110), recorded);
    let mut bills = Bills::default();
    assert!(!bills.removed(&account(), bill("a"), &recorded, at(100)));
    assert_eq!(settlement(&mut bills, 100), recorded);
}

#[test]
fn the_bills_that_wait_are_bounded() {
    let mut bills = Bills::default();
    for n in 0..MOST {
        bills.removed(&account(), bill(&n.to_string()), &[], at(1));
    }
    let answer = bills.submit(&account(), bill("one more"), &[], at(1));
    assert_eq!(answer, Answer::GiveUp);
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The controller of instances looks at a resource that is to go, and removes the finalizer if it may.
    Reconcile(usize),
    /// Somebody removes the finalizer.
    Force(usize),
    /// The book of the process loses a resource that is gone, and a moment later that is handled.
    Lose(usize),
    Handle(usize),
    /// The account is written: the answer may be lost, and the process may end right after it.
    Write {
        answered: bool,
        crash: bool,
    },
    /// The process sees the newest status of the account.
    Watch,
    /// Time passes. No removal takes as long to be handled.
    Wait,
    Crash,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3_usize).prop_map(Event::Reconcile),
        1 => (0..3_usize).prop_map(Event::Force),
        3 => (0..3_usize).prop_map(Event::Lose),
        3 => (0..3_usize).prop_map(Event::Handle),
        4 => (any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(answered, crash)| Event::Write { answered, crash }),
        2 => Just(Event::Watch),
        1 => Just(Event::Wait),
        1 => Just(Event::Crash),
    ]
}

/// Three resources that are to go, the account's status, and one process after the other.
#[derive(Default)]
struct Scene {
    spent: Vec<Spent>,
    settled: Vec<String>,
    /// Gone from Kubernetes, gone from the book of the process, and its removal was handled.
    gone: [bool; 3],
    unbooked: [bool; 3],
    handled: [bool; 3],
    /// Removed by somebody while its bill was not in the status yet.
    forced: [bool; 3],
    bills: Bills,
    view: Vec<String>,
    now: u64,
}

impl Scene {
    fn happen(&mut self, event: Event) {
        self.now += 1;
        let now = at(self.now / 100);
        match event {
            Event::Reconcile(n) if !self.unbooked[n] => {
                let bill = bill(&n.to_string());
                let answer = self.bills.submit(&account(), bill, &self.view, now);
                if answer == Answer::Settled {
                    assert!(
                        !self.gone[n] || self.forced[n] || self.settled.contains(&n.to_string())
                    );
                    self.gone[n] = true;
                }
            }
            Event::Force(n) => {
                self.forced[n] |= !self.gone[n];
                self.gone[n] = true;
            }
            Event::Lose(n) if self.gone[n] => self.unbooked[n] = true,
            Event::Handle(n) if self.unbooked[n] && !self.handled[n] => {
                self.handled[n] = true;
                let bill = bill(&n.to_string());
                self.bills.removed(&account(), bill, &self.view, now);
            }
            Event::Write { answered, crash } => {
                let unbooked = self.unbooked;
                let there = |uid: &str| uid.parse().is_ok_and(|n: usize| !unbooked[n]);
                let ripe = Moment::from_boot(Duration::from_secs(self.now / 100 + 1));
                let (next, _) = self
                    .bills
                    .settlement(&account(), &self.settled, there, ripe);
                (self.spent, self.settled) = settle(&self.spent, &self.settled, &next);
                if answered {
                    self.bills.written(&account(), &self.settled, there);
                }
                if crash {
                    self.crash();
                }
            }
            Event::Wait if self.unbooked == self.handled => self.now += 1_100,
            Event::Watch => self.view.clone_from(&self.settled),
            Event::Crash => self.crash(),
            _ => {}
        }
        let sum: f64 = self.spent.iter().map(|spent| amount(&spent.amount)).sum();
        assert!(sum <= 1.5, "billed twice: {sum}");
    }

    fn crash(&mut self) {
        self.bills = Bills::default();
        self.view.clone_from(&self.settled);
        (self.unbooked, self.handled) = (self.gone, self.gone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// Whatever crashes and whatever answer is lost.
    #[test]
    fn no_bill_is_added_twice_and_none_of_an_orderly_removal_is_lost(events in vec(event(), 0..60)) {
        let mut scene = Scene::default();
        for event in events {
            scene.happen(event);
        }
        let forced = scene.forced.iter().filter(|forced| **forced).count();
        for _ in 0..4 {
            scene.happen(Event::Watch);
            (0..3).for_each(|n| scene.happen(Event::Reconcile(n)));
            scene.happen(Event::Write { answered: true, crash: false });
        }
        let sum: f64 = scene.spent.iter().map(|spent| amount(&spent.amount)).sum();
        let least = 0.5 * (3 - forced) as f64;
        prop_assert!(sum >= least - 1e-9, "{} of {}", sum, least);
    }
}
