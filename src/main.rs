//! The command line of cortecs-operator.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use cortecs_api::install_crypto_provider;
use cortecs_operator::{
    check,
    cli::{CheckArgs, Cli, Command, CommonArgs, CrdsArgs, ReapArgs, RunArgs},
    operator, reap,
    serve::{signals, telemetry},
};
use cortecs_resources::crds;

/// How long background tasks may take to end after the command has ended.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let success = |()| ExitCode::SUCCESS;
    let (result, common) = match &command {
        Command::Run(args) => (run(args).map(success), Some(&args.common)),
        Command::Reap(args) => (reap_once(args), Some(&args.common)),
        Command::Crds(args) => (print_crds(args).map(success), None),
        Command::Check(args) => (check_url(args).map(success), None),
    };
    let message = match result {
        Ok(code) => return code,
        Err(message) => message,
    };
    match common {
        // A program that reads JSON log lines also reads the last error as one.
        Some(common) if common.logs_json() => tracing::error!("{message}"),
        _ => eprintln!("error: {message}"),
    }
    ExitCode::FAILURE
}

fn run(args: &RunArgs) -> Result<(), String> {
    let config = args.validate().unwrap_or_else(|message| {
        Cli::command()
            .error(ErrorKind::ValueValidation, message)
            .exit()
    });
    install_crypto_provider();
    let CommonArgs {
        log_format,
        log_level,
        ..
    } = args.common;
    let traces = telemetry::init_with_traces(log_format, log_level)?;
    let result = block_on(async {
        let shutdown =
            signals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
        operator::run(config, shutdown).await
    });
    if let Some(traces) = traces {
        traces.end();
    }
    result
}

fn reap_once(args: &ReapArgs) -> Result<ExitCode, String> {
    let config = args.validate().unwrap_or_else(|message| {
        Cli::command()
            .error(ErrorKind::ValueValidation, message)
            .exit()
    });
    install_crypto_provider();
    telemetry::init(args.common.log_format, args.common.log_level);
    let report = block_on(async {
        let shutdown =
            signals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
        reap::run(config, shutdown).await
    })?;
    let code = report.end.exit_code();
    for line in &report.lines {
        tell(&args.common, line.fate.is_open(), &line.to_string())?;
    }
    tell(&args.common, code != 0, &report.summary)?;
    Ok(ExitCode::from(code))
}

/// Prints one line of the report: into the log where that is read by a program.
fn tell(common: &CommonArgs, warns: bool, line: &str) -> Result<(), String> {
    match (common.logs_json(), warns) {
        (true, true) => tracing::warn!("{line}"),
        (true, false) => tracing::info!("{line}"),
        (false, _) => {
            writeln!(io::stdout(), "{line}").map_err(|error| format!("cannot print: {error}"))?;
        }
    }
    Ok(())
}

fn print_crds(_args: &CrdsArgs) -> Result<(), String> {
    let definitions = crds::yaml().map_err(|error| error.to_string())?;
    let documents: Vec<String> = definitions.into_iter().map(|(_, yaml)| yaml).collect();
    io::stdout()
        .write_all(documents.join("---\n").as_bytes())
        .map_err(|error| format!("cannot print: {error}"))
}

fn check_url(args: &CheckArgs) -> Result<(), String> {
    install_crypto_provider();
    block_on(async {
        let answer = check::run(args).await?;
        writeln!(io::stdout(), "{answer}").map_err(|error| format!("cannot print: {error}"))
    })
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}
