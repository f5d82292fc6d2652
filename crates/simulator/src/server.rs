//! The start and the stop of the simulator.

use std::{
    fmt,
    future::Future,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use jiff::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    access::Access,
    account::SimulatedAccount,
    connection::{Doors, Scissors},
    control,
    fault::FaultBook,
    handle::Handle,
    journal::Journal,
    shared::Shared,
    shell,
    world::World,
};

const DEMO_CLIENT_ID: &str = "demo";
const DEMO_CLIENT_SECRET: &str = "demo-secret";
/// The time for open connections to end when the simulator stops.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The settings of a [`Simulator`].
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// The address to listen on. Default: a free port on the loopback.
    pub listen: SocketAddr,
    /// The accounts. Default: `demo` with the secret `demo-secret`.
    pub accounts: Vec<SimulatedAccount>,
    /// The time of each step of a worker. An instance is usable after four steps. Default: 2 s.
    pub step_duration: Duration,
    /// The lifetime of a token. Default: an hour.
    pub token_lifetime: Duration,
    /// The EUR that each owner begins with. Default: 1000.
    pub initial_balance: f64,
    /// The seed for faults with a probability. Default: random.
    pub seed: Option<u64>,
    /// The number of requests that are kept. Default: 4096.
    pub request_log: usize,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accounts: vec![SimulatedAccount::new(DEMO_CLIENT_ID, DEMO_CLIENT_SECRET)],
            step_duration: Duration::from_secs(2),
            token_lifetime: Duration::from_secs(3600),
            initial_balance: 1000.0,
            seed: None,
            request_log: 4096,
        }
    }
}

/// A running simulator. Dropping it stops it without waiting.
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<io::Result<()>>,
}

impl Simulator {
    /// Binds the address and serves the API.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(config: SimulatorConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(config.listen).await?;
        let address = listener.local_addr()?;
        let epoch = Timestamp::now();
        // Not from the seed: a simulator that is started again must not repeat ids that resources still have in their status.
        let ids = fastrand::Rng::new();
        let access = Access::new(config.accounts, config.token_lifetime, fastrand::Rng::new());
        let (step, money) = (config.step_duration, config.initial_balance);
        let world = World::new(access, step, money, epoch, ids);
        let draws = config
            .seed
            .map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let journal = Journal::new(config.request_log);
        let shared = Shared::new(world, FaultBook::new(draws), journal, epoch);
        let router = Router::new()
            .merge(control::router(Handle::new(shared.clone())))
            .fallback(shell::answer)
            .with_state(shared.clone());
        let service = router.into_make_service_with_connect_info::<Scissors>();
        let stopping = shared.clone();
        let server = tokio::spawn(async move {
            axum::serve(Doors(listener), service)
                .with_graceful_shutdown(async move { stopping.stopping().await })
                .await
        });
        Ok(Self {
            address,
            shared,
            server,
        })
    }

    /// The address on which the simulator listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API's base URL, `http://127.0.0.1:PORT/api/v1`.
    pub fn api_url(&self) -> String {
        format!("http://{}{}", self.address, shell::BASE)
    }

    pub fn handle(&self) -> Handle {
        Handle::new(self.shared.clone())
    }

    /// Stops listening and ends the connections. Delays end at once. The port is free afterwards.
    pub async fn stop(mut self) {
        self.shared.begin_stop();
        if tokio::time::timeout(STOP_GRACE, &mut self.server)
            .await
            .is_err()
        {
            self.server.abort();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.begin_stop();
    }
}

/// The settings of the command line. `Debug` hides the secret.
#[derive(Clone)]
pub struct ServeOptions {
    pub step_duration: Duration,
    pub token_lifetime: Duration,
    pub client_id: String,
    pub client_secret: String,
}

impl Default for ServeOptions {
    fn default() -> Self {
        let config = SimulatorConfig::default();
        Self {
            step_duration: config.step_duration,
            token_lifetime: config.token_lifetime,
            client_id: DEMO_CLIENT_ID.to_owned(),
            client_secret: DEMO_CLIENT_SECRET.to_owned(),
        }
    }
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ServeOptions")
            .field("step_duration", &self.step_duration)
            .field("token_lifetime", &self.token_lifetime)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Serves the simulated API with one account until `shutdown`. Prints to the standard output how to reach it.
///
/// Prints the secret only if it is the built-in one.
///
/// # Errors
/// The address cannot be bound.
pub async fn serve(
    listen: SocketAddr,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let credentials = credentials(&options);
    let simulator = Simulator::start(SimulatorConfig {
        listen,
        accounts: vec![SimulatedAccount::new(
            options.client_id,
            options.client_secret,
        )],
        step_duration: options.step_duration,
        token_lifetime: options.token_lifetime,
        ..SimulatorConfig::default()
    })
    .await?;
    let text = format!(
        "Simulated Cortecs API; nothing here is real or costs anything.\n\
         CORTECS_API_BASE_URL={}\n{credentials}Control it at http://{}/_control/\n",
        simulator.api_url(),
        simulator.address(),
    );
    // The simulator serves also with a closed standard output.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    shutdown.await;
    simulator.stop().await;
    Ok(())
}

/// The settings as lines for an environment. Only the built-in secret is shown.
fn credentials(options: &ServeOptions) -> String {
    let built_in = options.client_secret == DEMO_CLIENT_SECRET;
    let secret = if built_in {
        DEMO_CLIENT_SECRET
    } else {
        "(as given)"
    };
    format!(
        "CORTECS_CLIENT_ID={}\nCORTECS_CLIENT_SECRET={secret}\n",
        options.client_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_given_is_not_shown() {
        assert!(credentials(&ServeOptions::default()).contains(DEMO_CLIENT_SECRET));
        let given = ServeOptions {
            client_secret: "hidden-word".into(),
            ..ServeOptions::default()
        };
        let shown = format!("{}{given:?}", credentials(&given));
        assert!(!shown.contains("hidden-word"), "{shown}");
    }

    #[tokio::test]
    async fn serving_ends_with_the_shutdown_and_fails_where_it_cannot_bind() {
        let listen = SimulatorConfig::default().listen;
        serve(listen, ServeOptions::default(), async {})
            .await
            .unwrap();
        let taken = TcpListener::bind(listen).await.unwrap();
        let address = taken.local_addr().unwrap();
        let never = std::future::pending();
        let error = serve(address, ServeOptions::default(), never)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
