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
    cli::{CheckArgs, Cli, Command, CrdsArgs, RunArgs},
    operator,
    serve::{signals, telemetry},
};
use cortecs_resources::crds;

/// How long background tasks may take to end after the command has ended.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let result = match &command {
        Command::Run(args) => run(args),
        Command::Crds(args) => print_crds(args),
        Command::Check(args) => check_url(args),
    };
    let Err(message) = result else {
        return ExitCode::SUCCESS;
    };
    match command {
        // A program that reads JSON log lines also reads the last error as one.
        Command::Run(args) if args.logs_json() => tracing::error!("{message}"),
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
    let traces = telemetry::init_with_traces(args.log_format, args.log_level)?;
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

fn block_on(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    result
}
