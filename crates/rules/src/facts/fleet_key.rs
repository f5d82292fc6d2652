//! Keys of fleets.

use std::fmt;

use url::Url;

/// The key of a fleet: one client id at one API URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FleetKey {
    /// In the form of [`normalize_api_url`].
    pub api_url: String,
    pub client_id: String,
}

impl FleetKey {
    /// The key for `api_url` in any spelling.
    pub fn new(api_url: &str, client_id: impl Into<String>) -> Self {
        Self {
            api_url: normalize_api_url(api_url),
            client_id: client_id.into(),
        }
    }
}

impl fmt::Display for FleetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.client_id, self.api_url)
    }
}

/// One spelling for all that name the same place: lower-case scheme and host, no default port, no slash at the end.
/// Text that is no URL stays as it is.
pub fn normalize_api_url(api_url: &str) -> String {
    match Url::parse(api_url.trim()) {
        Ok(url) => url.as_str().trim_end_matches('/').to_owned(),
        Err(_) => api_url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_url_are_one_key() {
        let key = FleetKey::new("https://cortecs.ai/api/v1", "id");
        for spelling in [
            "https://cortecs.ai/api/v1/",
            "HTTPS://Cortecs.AI:443/api/v1",
            "https://cortecs.ai/api/v1//",
        ] {
            assert_eq!(FleetKey::new(spelling, "id"), key, "{spelling}");
        }
        for other in [
            "http://cortecs.ai/api/v1",
            "https://cortecs.ai:8443/api/v1",
            "https://cortecs.ai/api/V1",
            "https://cortecs.ai",
        ] {
            assert_ne!(FleetKey::new(other, "id"), key, "{other}");
        }
        assert_ne!(FleetKey::new("https://cortecs.ai/api/v1", "other"), key);
        assert_eq!(
            normalize_api_url("http://127.0.0.1:80/"),
            "http://127.0.0.1"
        );
        assert_eq!(normalize_api_url("nonsense"), "nonsense");
    }
}
