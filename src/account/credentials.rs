//! Reads credentials from a Secret. The operator never lists or watches Secrets.

use cortecs_api::Credentials;
use cortecs_resources::{
    account::{CLIENT_ID_KEY, CLIENT_SECRET_KEY},
    reason::Reason,
};
use cortecs_rules::account::secret_value;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;

use crate::kubernetes::client::{KubeError, bounded};

/// The longest client id in characters: the schema of the status limits it.
const MAX_CLIENT_ID: usize = 512;
/// The longest client secret in bytes.
const MAX_CLIENT_SECRET: usize = 8192;

/// Why there are no credentials. The message names the Secret and the key, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error(
        "Secret {0} does not exist: create it with the keys {CLIENT_ID_KEY} and {CLIENT_SECRET_KEY}"
    )]
    NotFound(String),
    #[error("Secret {0} may not be read: permit the operator to get it")]
    Forbidden(String),
    #[error("Secret {secret}: {problem}")]
    Invalid { secret: String, problem: String },
    #[error("{0}")]
    Unreadable(KubeError),
}

impl CredentialsError {
    /// The reason of the condition.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NotFound(_) => Reason::SecretNotFound,
            Self::Forbidden(_) => Reason::SecretForbidden,
            Self::Invalid { .. } => Reason::SecretInvalid,
            Self::Unreadable(_) => Reason::SecretUnreadable,
        }
    }

    /// Whether the read failed, so that the same read may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

/// Reads the Secret `name`.
pub async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Credentials, CredentialsError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let shown = format!("{namespace}/{name}");
    match bounded("read the credentials Secret", api.get(name)).await {
        Ok(secret) => parse(&shown, &secret),
        Err(error) if error.is_not_found() => Err(CredentialsError::NotFound(shown)),
        Err(error) if error.is_forbidden() => Err(CredentialsError::Forbidden(shown)),
        Err(error) => Err(CredentialsError::Unreadable(error)),
    }
}

/// The credentials in `secret`. `shown` names the Secret in messages.
pub fn parse(shown: &str, secret: &Secret) -> Result<Credentials, CredentialsError> {
    let field = |key: &str| {
        value(secret, key).map_err(|problem| CredentialsError::Invalid {
            secret: shown.to_owned(),
            problem,
        })
    };
    let client_id = field(CLIENT_ID_KEY)?.to_owned();
    let client_secret = field(CLIENT_SECRET_KEY)?;
    let too_long = if client_id.chars().count() > MAX_CLIENT_ID {
        Some((CLIENT_ID_KEY, MAX_CLIENT_ID))
    } else if client_secret.len() > MAX_CLIENT_SECRET {
        Some((CLIENT_SECRET_KEY, MAX_CLIENT_SECRET))
    } else {
        None
    };
    if let Some((key, limit)) = too_long {
        return Err(CredentialsError::Invalid {
            secret: shown.to_owned(),
            problem: format!(
                "the value of {key} is longer than {limit}: put the API's value there"
            ),
        });
    }
    Ok(Credentials {
        client_id,
        client_secret: SecretString::from(client_secret),
    })
}

/// The value of `key`, without what editors leave around it.
fn value<'a>(secret: &'a Secret, key: &str) -> Result<&'a str, String> {
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .ok_or_else(|| format!("the key {key} is missing: add it"))?;
    secret_value::read(key, &bytes.0).map_err(|flaw| format!("the value of {key} {flaw}"))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use secrecy::ExposeSecret;

    use super::*;

    fn secret(entries: &[(&str, &[u8])]) -> Secret {
        Secret {
            data: Some(
                entries
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec())))
                    .collect(),
            ),
            ..Secret::default()
        }
    }

    fn both(id: &[u8], client_secret: &[u8]) -> Result<Credentials, CredentialsError> {
        parse(
            "team/cortecs",
            &secret(&[(CLIENT_ID_KEY, id), (CLIENT_SECRET_KEY, client_secret)]),
        )
    }

    #[test]
    fn what_editors_leave_is_no_part_of_a_value() {
        for (id, client_secret) in [
            ("id", "s3"),
            ("id\n", "s3\r\n"),
            ("\u{feff}id", "\u{feff}s3\n"),
            (" id\t", "\n s3 \n\n"),
        ] {
            let credentials = both(id.as_bytes(), client_secret.as_bytes()).unwrap();
            assert_eq!(credentials.client_id, "id");
            assert_eq!(credentials.client_secret.expose_secret(), "s3");
        }
    }

    #[test]
    fn problems_name_the_secret_and_the_key_and_no_value() {
        let cases = [
            (
                parse("team/cortecs", &Secret::default()),
                CLIENT_ID_KEY,
                "missing",
            ),
            (
                parse("team/cortecs", &secret(&[(CLIENT_ID_KEY, b"id")])),
                CLIENT_SECRET_KEY,
                "missing",
            ),
            (both(b"\n", b"hunter2"), CLIENT_ID_KEY, "empty"),
            (both(b"id", b""), CLIENT_SECRET_KEY, "empty"),
            (both(b"id", b"hunter2\xff"), CLIENT_SECRET_KEY, "UTF-8"),
            (both(b"id", b"\xff\xfeh\0u\0"), CLIENT_SECRET_KEY, "UTF-16"),
            (both(b"id", b" \t\n"), CLIENT_SECRET_KEY, "empty"),
            (both(b"\xef\xbb\xbf", b"hunter2"), CLIENT_ID_KEY, "empty"),
            (both(b"id", b"\"hunter2\""), CLIENT_SECRET_KEY, "quotes"),
            (both(b"'hunter2'\n", b"s3"), CLIENT_ID_KEY, "quotes"),
            (both(b"id", b"hunter2\nhunter2"), CLIENT_SECRET_KEY, "lines"),
            (
                both(b"hunter2 hunter2", b"s3"),
                CLIENT_ID_KEY,
                "white space",
            ),
            (
                both(b"id", b"hunter2\0"),
                CLIENT_SECRET_KEY,
                "cannot be seen",
            ),
            (
                both(b"id", b"CORTECS_CLIENT_SECRET=hunter2"),
                CLIENT_SECRET_KEY,
                "name of its key",
            ),
            (both(&[b'x'; 600], b"hunter2"), CLIENT_ID_KEY, "longer"),
            (both(b"id", &[b'h'; 9000]), CLIENT_SECRET_KEY, "longer"),
        ];
        for (result, key, word) in cases {
            let error = result.unwrap_err();
            assert_eq!(error.reason(), Reason::SecretInvalid);
            let message = error.to_string();
            assert!(
                message.contains("team/cortecs") && message.contains(key) && message.contains(word),
                "{message}"
            );
            assert!(
                !message.contains("hunter2") && message.len() < 200,
                "{message}"
            );
        }
    }
}
