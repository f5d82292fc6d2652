//! What the environment says about proxies.

use cortecs_rules::{account::allowed_hosts::AllowedHosts, proxy::Proxies};

/// The proxies that the variables of the environment name.
///
/// # Errors
/// One sentence: a variable that is needed for one of the API's hosts is wrong. It names the variable and not its value.
pub fn proxies(allowed: &AllowedHosts) -> Result<Proxies, String> {
    let proxies = Proxies::read(|name| {
        let value = std::env::var_os(name)?;
        Some(value.to_string_lossy().into_owned())
    });
    for url in allowed.urls() {
        if let Some(proxy) = proxies.for_url(&url)? {
            tracing::info!("{url} is reached through {proxy}");
        }
    }
    Ok(proxies)
}
