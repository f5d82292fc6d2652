//! A whole resource, its status and annotations included, a list and a model, as JSON: a decision without a panic, that
//! leaves the instance of a resource alone unless it is known to be in a state that asks for more.

#![no_main]

use std::{sync::Arc, time::Duration};

use cortecs_api::answers;
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsInstance,
    account::{AccountMode, Adoption, Sharing},
    identity::AccountIdentity,
    key::ObjectKey,
    limits::Limits,
};
use cortecs_rules::{
    facts::{
        args,
        attempt::{Attempt, Outcome},
        capacity::Capacity,
        fleet_key::FleetKey,
        memory::Memory,
        sealed_id::SealedId,
        snapshot::Snapshot,
    },
    instance::{
        decide,
        input::{Account, AccountView, Desired, FleetView, Input, Settings},
        step::{ApiCall, Purpose, Step, Write},
    },
    ledger::book::Book,
};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use uuid::Uuid;

const API_URL: &str = "https://api.example/v1";

#[derive(serde::Deserialize)]
struct Case<'a> {
    resource: CortecsInstance,
    #[serde(borrow)]
    list: &'a RawValue,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(default)]
    shared: bool,
    /// The start that is open was asked for by this process.
    #[serde(default)]
    asked: bool,
    /// The instance that the sealed annotation names; an empty one: it cannot be checked.
    claim: Option<String>,
    /// Seconds since the resource was first seen.
    #[serde(default)]
    later: u16,
}

fn at(seconds: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(seconds))
}

fuzz_target!(|data: &[u8]| {
    let Ok(case) = serde_json::from_slice::<Case>(data) else {
        return;
    };
    let Ok(list) = answers::instances(case.list.get().as_bytes()) else {
        return;
    };
    let resource = case.resource;
    let key = ObjectKey::of(&resource);
    let model = case
        .model
        .and_then(|m| answers::model(m.get().as_bytes()).ok());
    let model = model.map(|model| Ok(Arc::new(model)));
    let now = at(1000 + u64::from(case.later));
    let snapshot = Arc::new(Snapshot {
        sequence: 3,
        requested_at: now,
        received_at: now,
        instances: list
            .into_iter()
            .map(|i| (i.instance_id.clone(), Arc::new(i)))
            .collect(),
    });
    let status = resource.status.clone().unwrap_or_default();
    let mut memory = Memory::default();
    if let Some(start) = status.slot().start.as_ref().filter(|_| case.asked) {
        let mut attempt = Attempt::written(start.id, at(999));
        attempt.outcome = Outcome::Unknown(at(999));
        memory.start = Some(attempt);
    }
    let settle = Duration::from_secs(180);
    let sealed_id = match case.claim {
        None => SealedId::None,
        Some(id) if id.is_empty() => SealedId::Unchecked,
        Some(id) => SealedId::Proven(id),
    };
    let fleet = FleetKey::new(API_URL, "client");
    for now in [at(1000), now] {
        memory.observe(&resource, Some(&snapshot), settle, now);
        let sealed_id = sealed_id.clone();
        memory.observe_sealed_id(sealed_id, Some(&fleet), &resource, Some(&snapshot), now);
    }
    let mut book = Book::default();
    book.apply(Arc::new(resource.clone()));
    book.remember(&key, |m| *m = memory.clone());
    book.read_by_quorum(now);
    let account = AccountView {
        unchecked: false,
        named: Some(ObjectKey::new("ns", "main")),
        desired: Desired::Usable(Account {
            wrong_url: None,
            selector_invalid: false,
            identity: status.account.clone().unwrap_or_else(|| AccountIdentity {
                namespace: "ns".into(),
                name: "main".into(),
                api_url: API_URL.into(),
                client_id: "c".into(),
            }),
            adoption: Adoption::Unclaimed,
            mode: AccountMode::Active,
            mode_of: None,
            deleting: false,
            limits: Limits::default(),
            budgets: Vec::new(),
            allowed: true,
        }),
        limits: Some(Limits::default()),
        fleet: Some(FleetView {
            sharing: match case.shared {
                true => Sharing::Shared,
                false => Sharing::Exclusive,
            },
            snapshot: Some(snapshot.clone()),
            ..FleetView::default()
        }),
    };
    let decision = decide(&Input {
        key: &key,
        resource: &resource,
        account: &account,
        book: &book,
        memory: &memory,
        model: model.as_ref(),
        capacity: &Capacity::Unknown,
        settings: &Settings::new(settle),
        now,
        wall: jiff::Timestamp::UNIX_EPOCH,
        uuid: Uuid::from_u128(7),
    });
    // What is listed is not gone.
    let listed = |id: &String| snapshot.instances.contains_key(id);
    if resource.metadata.deletion_timestamp.is_none()
        && status.instance_id.as_ref().is_some_and(listed)
    {
        assert!(!matches!(
            decision.step,
            Step::Call(ApiCall::Start { .. }) | Step::Write(Write::Status(Purpose::Unbind))
        ));
    }
    // A start is recorded before it is made, and within the schema.
    if let Step::Write(Write::Status(Purpose::StartIntent(_))) = decision.step {
        let start = decision.status.slot().start.as_ref().expect("an intent");
        assert!(args::fits(&start.args) && start.known_instances.len() <= 512);
    }
});
