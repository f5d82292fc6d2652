//! What editors leave in a Secret, and what no credential can be.

use cortecs_resources::account::{CLIENT_ID_KEY, CLIENT_SECRET_KEY};
use cortecs_simulator::Endpoint;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::PostParams;
use serde_json::json;

use crate::scenario::Scenario;

impl Scenario {
    /// Writes a Secret with these bytes, and an account that names it.
    async fn account_with(&self, name: &str, client_id: &[u8], client_secret: &[u8]) {
        let mut secret = Secret::default();
        secret.metadata.name = Some(name.to_owned());
        let values = [
            (CLIENT_ID_KEY, client_id),
            (CLIENT_SECRET_KEY, client_secret),
        ];
        let data = values.map(|(key, value)| (key.to_owned(), ByteString(value.to_vec())));
        secret.data = Some(data.into());
        let secrets = self.secrets();
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
        self.account(name, json!({"credentialsSecretRef": {"name": name}}))
            .await;
    }
}

#[tokio::test]
async fn what_editors_leave_around_a_value_is_no_part_of_it() {
    let scenario = Scenario::new("editors").await;
    for (name, client_id, client_secret) in [
        ("mark", "\u{feff}demo", "\u{feff}demo-secret\r\n"),
        ("blanks", "demo ", " \tdemo-secret  \n"),
        ("lines", "\n\ndemo\n\n", "demo-secret\n\r\n\n"),
    ] {
        scenario
            .account_with(name, client_id.as_bytes(), client_secret.as_bytes())
            .await;
        scenario.reason(name, "Verified").await;
    }
    let key = scenario.key();
    let members = scenario.directory.accounts_of(&key);
    assert_eq!(members.len(), 3, "one client id");
}

#[tokio::test]
async fn what_is_wrong_with_a_value_is_named_and_nothing_is_sent() {
    let scenario = Scenario::new("flaws").await;
    for (name, client_id, client_secret, says) in [
        (
            "blank",
            &b"demo"[..],
            &b" \n\t"[..],
            "CORTECS_CLIENT_SECRET is empty",
        ),
        (
            "mark",
            b"\xef\xbb\xbf",
            b"demo-secret",
            "CORTECS_CLIENT_ID is empty",
        ),
        (
            "quotes",
            b"demo",
            b"\"demo-secret\"\n",
            "CORTECS_CLIENT_SECRET is in quotes",
        ),
        (
            "lines",
            b"demo",
            b"demo-secret\ndemo-secret",
            "CORTECS_CLIENT_SECRET has several lines",
        ),
        (
            "space",
            b"demo demo",
            b"demo-secret",
            "CORTECS_CLIENT_ID has white space within",
        ),
        (
            "control",
            b"demo",
            b"demo-secret\x1b[0m",
            "CORTECS_CLIENT_SECRET has characters that cannot be seen",
        ),
        (
            "wide",
            b"demo",
            b"\xff\xfed\0e\0m\0o\0",
            "CORTECS_CLIENT_SECRET is UTF-16 text",
        ),
        (
            "latin",
            b"demo",
            b"demo-secret\xe4",
            "CORTECS_CLIENT_SECRET is not UTF-8 text",
        ),
        (
            "file",
            b"demo",
            b"CORTECS_CLIENT_SECRET=demo-secret",
            "CORTECS_CLIENT_SECRET begins with the name of its key",
        ),
    ] {
        scenario.account_with(name, client_id, client_secret).await;
        let message = scenario.reason(name, "SecretInvalid").await;
        assert!(message.contains(says), "{message}");
        assert!(!message.contains("demo-secret"), "{message}");
    }
    assert_eq!(scenario.simulator.handle().count(Endpoint::Token), 0);
    // It is found when it is corrected.
    scenario.secret("quotes", "demo-secret").await;
    scenario.reason("quotes", "Verified").await;
}
