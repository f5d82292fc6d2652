//! What an answer says that is of no use for its call. The message of an error: one short line, no page, no secret. A success never looks like
//! a refusal, nor what is not the API's like the API's word.

#![no_main]

use cortecs_api::{Call, Error, RetryClass, answers};
use cortecs_rules::account::secret_value;
use libfuzzer_sys::fuzz_target;

const SECRETS: [&str; 2] = ["s3cr3t", "tok"];

const STATUSES: [u16; 14] = [
    200, 201, 202, 203, 204, 206, 301, 400, 401, 403, 404, 407, 429, 502,
];

fuzz_target!(|body: &[u8]| {
    check(body);
    for call in Call::ALL {
        for status in STATUSES {
            check_error(call, status, body);
        }
    }
    if let Ok(value) = secret_value::read("CORTECS_CLIENT_SECRET", body) {
        assert!(!value.is_empty());
        assert!(!value.chars().any(|c| c.is_whitespace() || c.is_control()));
    }
    // The same as a message that parses.
    if let Ok(text) = std::str::from_utf8(body) {
        check(
            serde_json::json!({ "message": text })
                .to_string()
                .as_bytes(),
        );
        let told = serde_json::json!({ "message": format!("{text}s3cr3t{text}tok") });
        check(told.to_string().as_bytes());
    }
});

fn check_error(call: Call, status: u16, body: &[u8]) {
    let error = Error::answered_with(call, status, body, &SECRETS);
    let shown = error.to_string();
    assert!(shown.chars().count() < 600 && !shown.chars().any(char::is_control));
    assert!(
        SECRETS
            .iter()
            .all(|secret| !shown.contains(secret) || *secret == "tok"),
        "{shown}"
    );
    assert_eq!(error.status(), Some(status));
    let starts = matches!(call, Call::StartInstance | Call::RestartInstance);
    if starts && status < 300 {
        assert_eq!(error.class(), RetryClass::Ambiguous);
        assert!(!error.refused() && !error.is_accepted());
    }
    if error.is_accepted() {
        assert!(status < 300 && !starts);
        assert_ne!(body.trim_ascii_start().first(), Some(&b'<'));
    }
    if error.is_foreign() {
        assert!((400..500).contains(&status) && error.api_message().is_none());
        assert_ne!(error.class(), RetryClass::Auth);
    }
}

fn check(body: &[u8]) {
    let Some(shown) = answers::message(body, &SECRETS) else {
        return;
    };
    assert!(!shown.trim().is_empty() && shown.chars().count() <= 256);
    assert!(
        !shown
            .chars()
            .any(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c))
    );
    assert!(
        SECRETS.iter().all(|secret| !shown.contains(secret)),
        "{shown}"
    );
    let lower = shown.to_ascii_lowercase();
    assert!(!lower.starts_with('<') && !lower.contains("<html") && !lower.contains("<script"));
}
