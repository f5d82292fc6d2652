//! The command line of cortecs-operator.

use std::{process::ExitCode, time::Duration};

use clap::{CommandFactory, Parser, error::ErrorKind};
use cortecs_operator::{
    operator,
    runtime::{
        config::{Cli, Command, CrdsArgs, RunArgs, SimulateArgs},
        install_crypto_provider, signals, telemetry,
    },
};

/// How long background tasks may take to end when the work is done.
const WIND_DOWN: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let ended = match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Crds(args) => crds(&args),
        Command::Simulate(args) => simulate(&args),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &RunArgs) -> Result<(), String> {
    let config = args.validate().unwrap_or_else(|message| {
        Cli::command()
            .error(ErrorKind::ValueValidation, message)
            .exit()
    });
    telemetry::init(args.log_format, args.log_level);
    install_crypto_provider();
    block_on(async {
        let shutdown =
            signals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
        operator::run(config, shutdown).await
    })
}

fn crds(_args: &CrdsArgs) -> Result<(), String> {
    Err("crds: not part of this build yet".to_owned())
}

fn simulate(_args: &SimulateArgs) -> Result<(), String> {
    Err("simulate: not part of this build yet".to_owned())
}

fn block_on(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let ended = runtime.block_on(work);
    runtime.shutdown_timeout(WIND_DOWN);
    ended
}
