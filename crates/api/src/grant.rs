//! The answer of the token endpoint, parsed. Pure.

use std::time::Duration;

use serde::Deserialize;

use crate::{lenient, text};

/// Assumed when the answer does not say how long the token lives.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 3600);
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// An access token, as it was answered. Without `Debug`, since it is a secret.
pub struct Grant {
    pub access_token: String,
    pub lifetime: Duration,
}

/// The token that a body has. How long it lives is read in whatever notation it has; a token whose life is not told is a good one.
pub(super) fn parse(body: &[u8]) -> Result<Grant, String> {
    #[derive(Deserialize)]
    struct Wire {
        access_token: String,
        #[serde(default, deserialize_with = "lenient::text")]
        token_type: Option<String>,
        #[serde(default, deserialize_with = "lenient::number")]
        expires_in: Option<f64>,
    }
    // The parser's words may quote the body, and the body holds the token.
    if !text::is_object(body) {
        return Err("it is no JSON object".to_owned());
    }
    let wire: Wire = serde_json::from_slice(body).map_err(|_| "it is no token".to_owned())?;
    let token = wire.access_token;
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err("the token is empty or too long".to_owned());
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the token has characters that no token has".to_owned());
    }
    let kind = wire.token_type.as_deref().map(str::trim);
    if kind.is_some_and(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer")) {
        return Err("it is no bearer token".to_owned());
    }
    let lifetime = wire.expires_in.map_or(DEFAULT_LIFETIME, |seconds| {
        Duration::from_secs_f64(seconds.clamp(0.0, MAX_LIFETIME.as_secs_f64()))
    });
    Ok(Grant {
        access_token: token,
        lifetime,
    })
}
