use std::time::Duration;

use cortecs_api::types::{BillingInterval, InstanceArgs, InstanceState};
use jiff::Timestamp;

use super::{MODEL, OTHER};
use crate::{SimulatedAccount, access::Access, start, world::World};

const STEP: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn world() -> World {
    let accounts = vec![
        SimulatedAccount::new("a", "s"),
        SimulatedAccount::new("a2", "s").owned_by("a"),
        SimulatedAccount::new("b", "s"),
    ];
    let access = Access::new(accounts, at(3600), fastrand::Rng::with_seed(1));
    World::new(
        access,
        STEP,
        100.0,
        Timestamp::UNIX_EPOCH,
        fastrand::Rng::with_seed(2),
    )
}

fn start(world: &mut World, client_id: &str, model: &str, workers: u32, now: u64) -> String {
    let args = InstanceArgs {
        model_id: model.to_owned(),
        num_workers: Some(workers),
        ..InstanceArgs::default()
    };
    let args = start::resolve(args.into(), &world.catalog).unwrap();
    world
        .start(client_id, args, at(now), false)
        .unwrap()
        .instance_id
}

#[test]
fn an_instance_is_pending_until_its_first_worker_runs() {
    let mut world = world();
    let id = start(&mut world, "a", MODEL, 2, 100);
    let pending = world.get("a", &id, at(139)).unwrap();
    assert_eq!(pending.instance_status.status, InstanceState::Pending);
    assert_eq!(
        (&pending.base_url, &pending.instance_status.started_at),
        (&None, &None)
    );

    let running = world.get("a", &id, at(140)).unwrap();
    assert_eq!(running.instance_status.status, InstanceState::Running);
    assert!(running.base_url.unwrap().ends_with("/v1"));
    assert_eq!(
        running.instance_status.started_at.unwrap(),
        "1970-01-01T00:02:20.000Z"
    );
    let steps = running.worker_statuses.into_iter();
    let steps: Vec<_> = steps
        .map(|worker| worker.init_progress.unwrap().current_step)
        .collect();
    assert_eq!(steps, [5, 4]);
    assert_eq!(
        world.next_change(at(140)),
        Some(Duration::from_millis(142_500))
    );
}

#[test]
fn stopping_keeps_the_instance_and_restarting_provisions_it_again_under_its_id() {
    let mut world = world();
    let id = start(&mut world, "a", MODEL, 1, 0);
    assert!(
        world
            .restart("a", &id, at(1))
            .unwrap_err()
            .0
            .contains("not stopped")
    );
    assert!(
        world
            .delete("a", &id, at(1))
            .unwrap_err()
            .0
            .contains("must be stopped")
    );
    let stopped = world.stop("a", &id, at(50)).unwrap();
    assert_eq!(stopped.instance_status.status, InstanceState::Stopped);
    assert_eq!(
        stopped.instance_status.stopped_at.as_deref(),
        Some("1970-01-01T00:00:50.000Z")
    );
    assert_eq!(stopped.base_url, None);
    assert_eq!(stopped.worker_statuses[0].init_progress, None);
    assert!(
        world
            .stop("a", &id, at(51))
            .unwrap_err()
            .0
            .contains("already stopped")
    );

    let again = world.restart("a", &id, at(60)).unwrap();
    assert_eq!(again.instance_id, id);
    assert_eq!(again.instance_status.status, InstanceState::Pending);
    assert_eq!(again.instance_status.started_at, None);
    assert_eq!(again.instance_status.stopped_at, None);
    assert_eq!(world.history(at(61))[0].billed_starts, 2);

    world.stop("a", &id, at(70)).unwrap();
    world.delete("a", &id, at(71)).unwrap();
    assert!(world.get("a", &id, at(72)).is_err());
    assert!(world.delete("a", &id, at(72)).is_err());
    assert_eq!(
        world.history(at(72))[0].deleted_at,
        Some("1970-01-01T00:01:11Z".parse().unwrap())
    );
}

#[test]
fn owners_see_only_their_own_instances_through_any_of_their_client_ids() {
    let mut world = world();
    let mine = start(&mut world, "a", MODEL, 1, 0);
    let theirs = start(&mut world, "b", MODEL, 1, 0);
    let ids = |world: &mut World, client_id: &str| -> Vec<_> {
        let list = world.list(client_id, at(1));
        list.into_iter()
            .map(|instance| instance.instance_id)
            .collect()
    };
    assert_eq!(ids(&mut world, "a"), [mine.as_str()]);
    assert_eq!(ids(&mut world, "a2"), [mine.as_str()]);
    assert_eq!(ids(&mut world, "b"), [theirs.as_str()]);
    assert!(world.get("b", &mine, at(1)).is_err());
    assert!(world.stop("b", &mine, at(1)).is_err());
    assert_eq!(world.stop_all("a2", at(2)), [mine]);
    let untouched = world.get("b", &theirs, at(2)).unwrap();
    assert_eq!(untouched.instance_status.status, InstanceState::Pending);
}

#[test]
fn delete_all_takes_running_instances_only_by_force() {
    let mut world = world();
    let stopped = start(&mut world, "a", MODEL, 1, 0);
    let running = start(&mut world, "a", MODEL, 1, 0);
    let other = start(&mut world, "b", MODEL, 1, 0);
    world.stop("a", &stopped, at(1)).unwrap();
    assert_eq!(world.delete_all("a", false, at(2)), [stopped]);
    assert_eq!(world.delete_all("a", true, at(3)), [running]);
    assert!(world.get("b", &other, at(4)).is_ok());
}

#[test]
fn capacity_limits_active_workers_on_starts_and_restarts() {
    let mut world = world();
    let id = start(&mut world, "a", MODEL, 1, 0);
    world.set_capacity("NVIDIA_L4_1", Some(2)).unwrap();
    let args = world.get("a", &id, at(1)).unwrap().instance_args;
    let two = InstanceArgs {
        num_workers: Some(2),
        ..args.clone()
    };
    assert!(
        world
            .start("b", two, at(1), false)
            .unwrap_err()
            .0
            .contains("No capacity")
    );
    world.stop("a", &id, at(2)).unwrap();
    world.start("b", args.clone(), at(3), false).unwrap();
    world.start("b", args, at(3), false).unwrap();
    assert!(
        world
            .restart("a", &id, at(4))
            .unwrap_err()
            .0
            .contains("No capacity")
    );
    let offered = world.available_hardware();
    assert!(
        offered
            .iter()
            .all(|hardware| hardware.hardware_type_id != "NVIDIA_L4_1")
    );
    world.set_capacity("NVIDIA_L4_1", None).unwrap();
    assert!(world.restart("a", &id, at(5)).is_ok());
    assert!(world.set_capacity("ABACUS", Some(1)).is_err());
}

#[test]
fn lagging_lists_show_old_states_and_single_gets_do_not() {
    let mut world = world();
    let old = start(&mut world, "a", MODEL, 1, 0);
    world.lag.set(at(30).into(), at(50));
    let new = start(&mut world, "a", OTHER, 1, 60);
    world.stop("a", &old, at(60)).unwrap();
    world.delete("a", &old, at(61)).unwrap();

    let list = world.list("a", at(70));
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].instance_id, old);
    assert_eq!(list[0].instance_status.status, InstanceState::Running);
    assert!(world.get("a", &old, at(70)).is_err());
    assert!(world.get("a", &new, at(70)).is_ok());
    let between = world.list("a", at(90));
    assert_eq!(between.len(), 2);
    assert_eq!(between[0].instance_status.status, InstanceState::Stopped);
    let late = world.list("a", at(91));
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].instance_id, new);
}

#[test]
fn a_list_that_lags_behind_a_restart_shows_the_instance_stopped() {
    let mut world = world();
    let id = start(&mut world, "a", MODEL, 1, 0);
    world.stop("a", &id, at(10)).unwrap();
    world.lag.set(1.into(), at(11));
    world.list("a", at(12));
    world.restart("a", &id, at(13)).unwrap();
    let behind = world.list("a", at(14));
    assert_eq!(behind[0].instance_status.status, InstanceState::Stopped);
    let current = world.list("a", at(15));
    assert_eq!(current[0].instance_status.status, InstanceState::Pending);
}

#[test]
fn started_units_of_each_worker_are_billed_until_the_stop() {
    let mut world = world();
    let balance = |world: &World, now: u64| world.balance("a", at(now)).current_balance;
    // 1.20 EUR an hour, 0.02 a minute; two workers.
    let id = start(&mut world, "a", MODEL, 2, 0);
    assert_eq!(balance(&world, 1), 99.96);
    assert_eq!(balance(&world, 61), 99.92);
    world.stop("a", &id, at(120)).unwrap();
    assert_eq!(balance(&world, 10_000), 99.92);
    world.restart("a", &id, at(10_000)).unwrap();
    assert_eq!(balance(&world, 10_030), 99.88);
    world.stop_all("a", at(10_030));
    world.delete("a", &id, at(10_040)).unwrap();
    assert_eq!(balance(&world, 20_000), 99.88);

    let args = InstanceArgs {
        model_id: MODEL.into(),
        billing_interval: Some(BillingInterval::PerHour),
        ..InstanceArgs::default()
    };
    let args = start::resolve(args.into(), &world.catalog).unwrap();
    world.start("a2", args, at(20_000), false).unwrap();
    assert_eq!(balance(&world, 20_001), 98.68);
    assert_eq!(world.balance("b", at(20_001)).current_balance, 100.0);
}
