//! Checks the simulator with the published client of the API, `cortecs-py`, and compares what that client and the operator show.
//!
//! Needs `python3` with `venv`, and the package index on the first run. The environment is kept in the target folder.

#![allow(clippy::unwrap_used, clippy::panic)] // All of this file is a test.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use cortecs_api::{
    Client, ClientConfig, Credentials, install_crypto_provider, types::InstanceArgs,
};
use cortecs_resources::account::CortecsAccountStatus;
use cortecs_rules::{
    account::{
        status::{View, next_status},
        summary::{Finances, sum_up},
    },
    catalog::spec,
    cost::{Prices, money},
    facts::snapshot::Snapshot,
};
use cortecs_simulator::{Endpoint, Simulator, SimulatorConfig};
use jiff::Timestamp;
use serde_json::{Value, json};
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

/// The published client and the operator show the same of one account. What the operator shows is made by its own rules from the answers to
/// its own client: the account's status, and the specs of the catalog's objects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_client_and_the_operator_show_the_same() {
    install_crypto_provider();
    let python = environment().await;
    let simulator = Simulator::start(SimulatorConfig {
        // Nothing changes by itself while both look.
        step_duration: Duration::from_secs(3600),
        ..SimulatorConfig::default()
    })
    .await
    .unwrap();
    let client = api_client(&simulator);
    let start = async |model: &str, workers: u32| {
        let args = InstanceArgs {
            num_workers: Some(workers),
            ..args(model)
        };
        client.start_instance(&args).await.unwrap().instance_id
    };
    let mine = start("microsoft--phi-4", 2).await;
    let stopped = start("mistralai--Mistral-7B-Instruct-v0.3", 1).await;
    client.stop_instance(&stopped).await.unwrap();
    let others = simulator.handle();
    let others = others.outsider_start("demo", args("google--gemma-2-9b-it"));
    assert_ne!(others.unwrap(), mine);

    let mut look = Command::new(python);
    look.arg(scripts().join("view.py"))
        .env("CORTECS_API_BASE_URL", simulator.api_url())
        .env("CORTECS_CLIENT_ID", "demo")
        .env("CORTECS_CLIENT_SECRET", "demo-secret")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    let theirs: Value = serde_json::from_str(&run(look, DRIVE_DEADLINE).await).unwrap();

    let status = account_status(&client, &mine).await;
    let instances = theirs["instances"].as_object().unwrap();
    let count = |state: &str| instances.values().filter(|i| i["status"] == state).count();
    let counts = status.instances.unwrap();
    let counted = [counts.pending, counts.running, counts.stopped];
    let expected = ["pending", "running", "stopped"].map(|state| count(state) as i64);
    assert_eq!((counted, counted.iter().sum::<i64>()), (expected, 3));
    for unmanaged in &status.unmanaged {
        let args = &unmanaged.args;
        let shown = json!({
            "id": unmanaged.id, "status": unmanaged.state, "model": args.model_id, "hardware": args.hardware_type_id,
            "context_length": args.context_length, "billing_interval": args.billing_interval, "workers": args.num_workers,
            "base_url": null,
        });
        assert_eq!(instances[&unmanaged.id], shown);
    }
    assert_eq!((counts.managed, status.unmanaged.len()), (1, 2));
    let number = |text: &str| text.parse::<f64>().unwrap();
    let balance = status.balance.unwrap();
    assert_eq!(
        json!([number(&balance.amount), balance.currency]),
        theirs["balance"]
    );
    // What the operator says of prices, by what the client says of them.
    let per_hour = |is_counted: &dyn Fn(&str) -> bool| -> f64 {
        let billed = instances.iter().filter(|(_, i)| i["status"] != "stopped");
        let counted = billed.filter(|(id, _)| is_counted(id));
        let price = |i: &Value| theirs["prices"][i["hardware"].as_str().unwrap()][0].as_f64();
        counted
            .map(|(_, i)| price(i).unwrap() * i["workers"].as_f64().unwrap())
            .sum()
    };
    let shown = &status.price_per_hour[..];
    assert_eq!(shown.len(), 1);
    let prices = [number(&shown[0].managed), number(&shown[0].unmanaged)];
    let expected = [per_hour(&|id| id == mine), per_hour(&|id| id != mine)];
    assert!(expected.iter().all(|price| *price > 0.0));
    assert_eq!(prices, expected);

    let models = client.list_models().await.unwrap();
    let ours = models.iter().map(|entry| {
        let spec = spec::model(entry, None, None);
        let hardware: BTreeSet<_> = spec.hardware_type_ids.into_iter().collect();
        (spec.id, (spec.hf_name, hardware))
    });
    let of_client = theirs["models"].as_object().unwrap().iter();
    let of_client = of_client.map(|(id, model)| {
        let hardware = serde_json::from_value(model[1].clone()).unwrap();
        let name = model[0].as_str().map(str::to_owned);
        (id.clone(), (name, hardware))
    });
    assert_eq!(
        ours.collect::<BTreeMap<String, (Option<String>, BTreeSet<String>)>>(),
        of_client.collect()
    );
    let free = client.list_available_hardware_types().await.unwrap();
    let free: BTreeSet<String> = free.into_iter().map(|h| h.hardware_type_id).collect();
    assert_eq!(json!(free), theirs["available"]);
    let hardware = client.list_hardware_types().await.unwrap();
    let ours = hardware.iter().map(|entry| {
        let spec = spec::hardware_type(entry, Some(&free), None);
        let price = spec.price_per_hour.as_deref().map(number);
        (spec.id, json!([price, spec.currency]))
    });
    assert_eq!(Value::Object(ours.collect()), theirs["prices"]);
    simulator.stop().await;
}

fn args(model: &str) -> InstanceArgs {
    InstanceArgs {
        model_id: model.to_owned(),
        ..InstanceArgs::default()
    }
}

fn api_client(simulator: &Simulator) -> Client {
    let credentials = Credentials {
        client_id: "demo".to_owned(),
        client_secret: "demo-secret".to_owned().into(),
    };
    Client::new(ClientConfig::new(simulator.api_url(), credentials)).unwrap()
}

/// The status that the operator writes into the account, if a resource claims the instance `mine`.
async fn account_status(client: &Client, mine: &str) -> CortecsAccountStatus {
    let instances = client.list_instances().await.unwrap().into_iter();
    let snapshot = Snapshot {
        instances: instances
            .map(|instance| (instance.instance_id.clone(), Arc::new(instance)))
            .collect(),
        ..Snapshot::default()
    };
    let prices = Prices::of(client.list_hardware_types().await.unwrap());
    let finances = Finances {
        prices: Some(&prices),
        balance: money::balance(&client.balance().await.unwrap()),
    };
    let summary = sum_up(&snapshot, &BTreeMap::new(), 0, finances, |id| id == mine);
    let view = View {
        summary: Some(&summary),
        ..View::default()
    };
    let nothing = CortecsAccountStatus::default();
    next_status(&nothing, &view, Timestamp::UNIX_EPOCH).unwrap()
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cortecs_py")
}

/// The interpreter of a virtual environment with the client. Makes the environment if it is missing or broken, one test at a time.
async fn environment() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("cortecs-py-venv");
    let python = folder.join("bin/python");
    let turn = File::create(folder.with_extension("lock")).unwrap();
    let _turn = tokio::task::spawn_blocking(|| turn.lock().map(|()| turn))
        .await
        .unwrap()
        .unwrap();
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
