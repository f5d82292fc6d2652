use clap::CommandFactory;

use super::*;

fn run(flags: &[&str]) -> Result<RunArgs, clap::Error> {
    let command = ["cortecs-operator", "run"].iter().chain(flags);
    Cli::try_parse_from(command).map(|cli| match cli.command {
        Command::Run(args) => args,
        other => panic!("not run: {other:?}"),
    })
}

fn message(flags: &[&str]) -> String {
    run(flags).unwrap_err().to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn each_flag_of_run_and_reap_has_an_environment_variable() {
    let command = Cli::command();
    for (name, count) in [("run", 11), ("reap", 10)] {
        let command = command.find_subcommand(name).unwrap();
        let flags: Vec<_> = command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"))
            .collect();
        assert_eq!(flags.len(), count);
        for flag in flags {
            let twin = format!("CORTECS_OPERATOR_{}", flag.get_id().as_str().to_uppercase());
            assert_eq!(flag.get_env().unwrap().to_str(), Some(twin.as_str()));
        }
    }
}

#[test]
fn a_reaper_has_the_documented_defaults_and_no_short_limits() {
    let reap = |flags: &[&str]| {
        let command = ["cortecs-operator", "reap"].iter().chain(flags);
        Cli::try_parse_from(command).map(|cli| match cli.command {
            Command::Reap(args) => args.validate().unwrap(),
            other => panic!("not reap: {other:?}"),
        })
    };
    let config = reap(&[]).unwrap();
    let seconds = [config.overdue, config.deadline].map(|limit| limit.as_secs());
    assert_eq!(seconds, [600, 300]);
    assert!(config.run.leader_elect && config.run.catalog_objects.is_none());
    assert!(reap(&["--overdue-seconds=59"]).is_err());
    assert!(reap(&["--deadline-seconds=29"]).is_err());
}

#[test]
fn without_flags_the_documented_defaults_hold() {
    let args = run(&[]).unwrap();
    assert_eq!(args.common.log_format, LogFormat::Text);
    assert_eq!(args.common.log_level, LogLevel::Info);
    let config = args.validate().unwrap();
    assert_eq!(
        config,
        RunConfig {
            default_account: None,
            allowed_hosts: "cortecs.ai".parse().unwrap(),
            watch_namespaces: WatchedNamespaces::default(),
            listen: "0.0.0.0:8080".parse().unwrap(),
            concurrency: 16,
            leader_elect: true,
            catalog_objects: Some(Intervals::default()),
            settle: Duration::from_secs(180),
            request_timeout: Duration::from_secs(30),
        }
    );
    assert!(config.watch_namespaces.contains("any"));
}

#[test]
fn flags_are_parsed() {
    let config = run(&[
        "--default-account=team-a/main.account",
        "--allowed-api-hosts=cortecs.ai,http://127.0.0.1:9000",
        "--watch-namespaces=b, a,",
        "--listen=127.0.0.1:0",
        "--concurrency=256",
        "--leader-elect=false",
        "--settle-seconds=4",
        "--request-timeout-seconds=1",
    ])
    .unwrap()
    .validate()
    .unwrap();
    assert_eq!(
        config.default_account.unwrap().to_string(),
        "team-a/main.account"
    );
    assert_eq!(
        config.allowed_hosts.check("http://127.0.0.1:9000/api/v1"),
        Ok(())
    );
    assert_eq!(
        config.watch_namespaces.names().collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(config.watch_namespaces.contains("a") && !config.watch_namespaces.contains("c"));
    assert_eq!((config.concurrency, config.leader_elect), (256, false));
    assert_eq!(config.settle, Duration::from_secs(4));
}

#[test]
fn leader_elect_takes_an_optional_value() {
    assert!(run(&["--leader-elect"]).unwrap().common.leader_elect);
    assert!(
        run(&["--leader-elect", "--concurrency=2"])
            .unwrap()
            .common
            .leader_elect
    );
    assert!(
        !run(&["--leader-elect", "false"])
            .unwrap()
            .common
            .leader_elect
    );
    assert!(run(&["--leader-elect", "perhaps"]).is_err());
}

#[test]
fn wrong_values_are_usage_errors_that_name_the_expected_format() {
    assert_eq!(run(&["--concurrency=0"]).unwrap_err().exit_code(), 2);
    assert!(message(&["--concurrency=0"]).contains("1..=256"));
    assert!(message(&["--concurrency=257"]).contains("1..=256"));
    for account in [
        "main",
        "a/b/c",
        "/main",
        "a/",
        "",
        "Team/main",
        "a.b/main",
        "-a/main",
    ] {
        let flag = format!("--default-account={account}");
        assert!(message(&[&flag]).contains("NAMESPACE/NAME"), "{account}");
    }
    assert!(message(&["--watch-namespaces=a,B"]).contains("`B` is not a valid namespace"));
    assert!(message(&["--allowed-api-hosts=https://cortecs.ai"]).contains("without `https://`"));
    assert!(message(&["--listen=8080"]).contains("--listen"));
    assert!(message(&["--log-level=loud"]).contains("debug"));
}

#[test]
fn the_settle_time_covers_four_request_timeouts() {
    let config = |settle: &str, timeout: &str| {
        run(&[
            "--settle-seconds",
            settle,
            "--request-timeout-seconds",
            timeout,
        ])
        .unwrap()
        .validate()
    };
    assert!(config("120", "30").is_ok());
    let message = config("119", "30").unwrap_err();
    for part in [
        "--settle-seconds is 119",
        "at least 120",
        "--request-timeout-seconds (30)",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn check_needs_a_url_and_takes_a_timeout() {
    let check = |flags: &[&str]| {
        let command = ["cortecs-operator", "check"].iter().chain(flags);
        Cli::try_parse_from(command).map(|cli| match cli.command {
            Command::Check(args) => args,
            other => panic!("not check: {other:?}"),
        })
    };
    let args = check(&["--url=http://operator.ns.svc:8080/readyz"]).unwrap();
    assert_eq!(args.url.path(), "/readyz");
    assert_eq!(args.timeout_seconds, 30);
    assert!(check(&[]).unwrap_err().to_string().contains("--url"));
    assert!(check(&["--url=operator/readyz"]).is_err());
    assert!(check(&["--url=http://a", "--timeout-seconds=0"]).is_err());
}

#[test]
fn the_catalog_has_objects_where_all_namespaces_are_watched_unless_a_flag_says_otherwise() {
    for (flags, expected) in [
        (&[][..], true),
        (&["--catalog-objects=false"], false),
        (&["--watch-namespaces=a"], false),
        (&["--watch-namespaces=a", "--catalog-objects"], true),
    ] {
        let config = run(flags).unwrap().validate().unwrap();
        assert_eq!(config.catalog_objects.is_some(), expected, "{flags:?}");
    }
}
