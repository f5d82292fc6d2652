//! What every controller needs.

pub mod allowed_hosts;
pub mod backoff;
pub mod check;
pub mod clock;
pub mod config;
pub mod events;
pub mod health;
pub mod kube_client;
pub mod leadership;
pub(crate) mod lease_object;
pub mod lease_state;
pub mod metrics;
pub mod signals;
pub mod telemetry;
pub mod wake;

/// Makes ring the process's TLS provider. kube and reqwest both look for the process's default; calling this again does nothing.
pub fn install_crypto_provider() {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
