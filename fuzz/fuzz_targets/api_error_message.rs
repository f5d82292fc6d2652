//! The message of an error: one short line, no page, no secret.

#![no_main]

use cortecs_api::answers;
use libfuzzer_sys::fuzz_target;

const SECRETS: [&str; 2] = ["s3cr3t", "tok"];

fuzz_target!(|body: &[u8]| {
    check(body);
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
