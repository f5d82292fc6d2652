//! The calls of the API.

use serde::{Deserialize, Serialize};

/// A call of the API. Written in `snake_case` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    Token,
    ListInstances,
    GetInstance,
    Start,
    Restart,
    Stop,
    StopAll,
    Delete,
    DeleteAll,
    Balance,
    ListModels,
    GetModel,
    HardwareTypes,
    AvailableHardwareTypes,
    /// A path or method that the API does not document.
    Unknown,
}

impl Endpoint {
    /// The call with this method and this path below the API's base, and the id at the end of the path.
    pub(super) fn of<'a>(method: &str, path: &'a str) -> (Self, Option<&'a str>) {
        let endpoint = match (method, path) {
            ("POST", "/oauth2/token") => Self::Token,
            ("GET", "/instances/") => Self::ListInstances,
            ("POST", "/instances/start") => Self::Start,
            ("POST", "/instances/restart") => Self::Restart,
            ("POST", "/instances/stop") => Self::Stop,
            ("POST", "/instances/stop-all") => Self::StopAll,
            ("DELETE", "/instances/delete-all") => Self::DeleteAll,
            ("GET", "/user/balance") => Self::Balance,
            ("GET", "/models/") => Self::ListModels,
            ("GET", "/hardware-types/") => Self::HardwareTypes,
            ("GET", "/hardware-types/available") => Self::AvailableHardwareTypes,
            _ => return Self::with_id(method, path),
        };
        (endpoint, None)
    }

    fn with_id<'a>(method: &str, path: &'a str) -> (Self, Option<&'a str>) {
        let id = |prefix: &str| {
            path.strip_prefix(prefix)
                .filter(|id| !id.is_empty() && !id.contains('/'))
        };
        match method {
            "GET" => {
                if let Some(id) = id("/instances/") {
                    return (Self::GetInstance, Some(id));
                }
                if let Some(id) = id("/models/") {
                    return (Self::GetModel, Some(id));
                }
            }
            "DELETE" => {
                if let Some(id) = id("/instances/") {
                    return (Self::Delete, Some(id));
                }
            }
            _ => {}
        }
        (Self::Unknown, None)
    }

    /// Whether the call needs a bearer token.
    pub fn needs_token(self) -> bool {
        !matches!(
            self,
            Self::Token
                | Self::ListModels
                | Self::GetModel
                | Self::HardwareTypes
                | Self::AvailableHardwareTypes
                | Self::Unknown
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_documented_trailing_slashes_included() {
        let cases = [
            ("GET", "/instances/", Endpoint::ListInstances, None),
            ("GET", "/instances", Endpoint::Unknown, None),
            ("GET", "/instances/abc", Endpoint::GetInstance, Some("abc")),
            ("GET", "/instances/abc/", Endpoint::Unknown, None),
            ("POST", "/instances/start", Endpoint::Start, None),
            ("POST", "/instances/start/", Endpoint::Unknown, None),
            ("DELETE", "/instances/delete-all", Endpoint::DeleteAll, None),
            ("DELETE", "/instances/abc", Endpoint::Delete, Some("abc")),
            ("DELETE", "/instances/", Endpoint::Unknown, None),
            ("GET", "/models/a--b", Endpoint::GetModel, Some("a--b")),
            ("GET", "/models", Endpoint::Unknown, None),
            (
                "GET",
                "/hardware-types/available",
                Endpoint::AvailableHardwareTypes,
                None,
            ),
            ("GET", "/user/balance/", Endpoint::Unknown, None),
        ];
        for (method, path, endpoint, id) in cases {
            assert_eq!(
                Endpoint::of(method, path),
                (endpoint, id),
                "{method} {path}"
            );
        }
    }
}
