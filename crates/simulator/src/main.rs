//! The command line of cortecs-simulator: the simulated API, served until it is asked to stop.

use std::{io, net::SocketAddr, process::ExitCode, time::Duration};

use clap::Parser;
use cortecs_simulator::{ServeOptions, serve};
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

/// Serve a simulated Cortecs API. It needs no cluster and costs nothing; what it holds is gone when it ends.
#[derive(Debug, Parser)]
#[command(name = "cortecs-simulator", version)]
struct Args {
    /// Where the simulated API is served.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    listen: SocketAddr,

    /// How long each of the five initialisation steps of a worker takes.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=3_600_000))]
    step_milliseconds: u32,

    /// The client id that gets a token.
    #[arg(
        long,
        env = "CORTECS_CLIENT_ID",
        value_name = "ID",
        default_value = "demo"
    )]
    client_id: String,

    /// The client secret that gets a token.
    #[arg(long, env = "CORTECS_CLIENT_SECRET", value_name = "SECRET", default_value = "demo-secret", hide_env_values = true, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    client_secret: String,

    /// Least severe level that is logged: `off`, `error`, `warn`, `info`, `debug` (shows each request) or `trace`.
    #[arg(long, value_name = "LEVEL", default_value_t = LevelFilter::INFO)]
    log_level: LevelFilter,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_max_level(args.log_level)
        .with_writer(io::stderr)
        .init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), String> {
    let options = ServeOptions {
        step_duration: Duration::from_millis(args.step_milliseconds.into()),
        client_id: args.client_id,
        client_secret: args.client_secret,
        ..ServeOptions::default()
    };
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(async {
        let asked_to_stop =
            signals().map_err(|error| format!("cannot listen for signals: {error}"))?;
        serve(args.listen, options, asked_to_stop)
            .await
            .map_err(|error| format!("cannot serve on {}: {error}", args.listen))
    })
}

/// Completes on SIGTERM and on SIGINT. Needs a tokio runtime.
fn signals() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
