//! Texts from outside, made fit for statuses, events and logs.

use crate::lenient;

/// The longest text that is shown, in characters.
pub(super) const MAX_CHARS: usize = 256;

const REDACTED: &str = "***";

/// The words of an error's body that may be shown: its JSON `message`, else its `error_description`, else its `error`.
pub(super) fn message(body: &[u8], secrets: &[&str]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Body {
        #[serde(default, deserialize_with = "lenient::text")]
        message: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        error_description: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        error: Option<String>,
    }
    if !is_object(body) {
        return None;
    }
    let body: Body = serde_json::from_slice(body).ok()?;
    let said = [body.message, body.error_description, body.error];
    said.iter().flatten().find_map(|text| tidy(text, secrets))
}

/// Whether a JSON body is an object. Asked first, because the parser also takes an array for a structure.
pub(super) fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// Whether a body is a page for people, as a proxy sends it.
pub(super) fn is_page_body(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

/// `text` on one line without control characters and secrets, cut to [`MAX_CHARS`]; nothing if nothing is left, if it is
/// a page, or if a secret cannot be taken out.
pub(super) fn tidy(text: &str, secrets: &[&str]) -> Option<String> {
    let secrets: Vec<&str> = secrets.iter().copied().filter(|s| !s.is_empty()).collect();
    // Before and after the clean-up: a secret may itself have characters that it takes out, or be interrupted by them.
    let clean = redact(&one_line(&redact(text, &secrets)), &secrets);
    let clean = clean.trim();
    if clean.is_empty() || is_page(clean) {
        return None;
    }
    let shown = match clean.char_indices().nth(MAX_CHARS) {
        None => clean.to_owned(),
        Some(_) => clean.chars().take(MAX_CHARS - 1).chain(['…']).collect(),
    };
    let leaks = secrets.iter().any(|secret| shown.contains(secret));
    (!leaks).then_some(shown)
}

/// The first `limit` characters of a word of the API that can be seen: fit for a field of a status.
pub fn fit(text: &str, limit: usize) -> String {
    text.chars().filter(is_shown).take(limit).collect()
}

/// Whether a character can be seen and leaves the others as they are.
pub fn is_shown(c: &char) -> bool {
    !c.is_control() && !is_invisible(*c)
}

fn redact(text: &str, secrets: &[&str]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret, REDACTED)
    })
}

fn one_line(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\t' | '\n' | '\r' => Some(' '),
            _ => Some(c).filter(is_shown),
        })
        .collect()
}

/// Characters that turn the direction of a text, break its line or take no room: they could make it read differently.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn is_page(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.starts_with('<')
        || ["<!doctype", "<html", "<head", "<body", "<script", "<title"]
            .iter()
            .any(|tag| lower.contains(tag))
}

/// The innermost cause of an error, which is where connections say what went wrong.
#[cfg(feature = "client")]
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static), secrets: &[&str]) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    tidy(&root.to_string(), secrets).unwrap_or_else(|| "no details".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(message: &str) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({ "message": message })).unwrap()
    }

    #[test]
    fn only_a_json_message_is_shown() {
        assert_eq!(
            message(&body("no such model"), &[]).as_deref(),
            Some("no such model")
        );
        for other in [
            &b""[..],
            b"no such model",
            b"\"no such model\"",
            b"[\"no such model\"]",
            br#"{"detail":"no such model"}"#,
            br#"{"error":{"text":"no such model"}}"#,
            br#"{"message":{"text":"no such model"}}"#,
            br#"{"message":12}"#,
            br#"{"message":null}"#,
            br#"{"message":" \n "}"#,
            b"{\"message\":\"\xff\"}",
        ] {
            assert_eq!(message(other, &[]), None);
        }
        let deep = format!("{{\"message\":{}", "[".repeat(60_000));
        assert_eq!(message(deep.as_bytes(), &[]), None);
    }

    #[test]
    fn the_words_of_an_oauth_error_are_shown_where_there_is_no_message() {
        for (said, shown) in [
            (
                r#"{"error":"invalid_client","error_description":"the client is unknown"}"#,
                "the client is unknown",
            ),
            (r#"{"error":"invalid_client"}"#, "invalid_client"),
            (
                r#"{"error":"invalid_client","error_description":null}"#,
                "invalid_client",
            ),
            (
                r#"{"error":"invalid_client","error_description":" ","message":7}"#,
                "invalid_client",
            ),
            (
                r#"{"message":"wrong secret","error":"invalid_client","error_description":"x"}"#,
                "wrong secret",
            ),
            (
                r#"{"message":"<html>","error_description":"key s3cr3t"}"#,
                "key ***",
            ),
        ] {
            assert_eq!(
                message(said.as_bytes(), &["s3cr3t"]).as_deref(),
                Some(shown),
                "{said}"
            );
        }
    }

    #[test]
    fn pages_are_never_shown() {
        for page in [
            "<html><h1>502</h1>",
            " <!DOCTYPE html>",
            "Error: <HTML>",
            "<p>",
        ] {
            assert_eq!(message(&body(page), &[]), None, "{page}");
        }
        let words = "context_length must be < 4096";
        assert_eq!(message(&body(words), &[]).as_deref(), Some(words));
    }

    #[test]
    fn secrets_are_taken_out_also_when_cut_or_interrupted() {
        let secret = "s3cr3t-value";
        let shown = |text: &str| tidy(text, &[secret, "", "tok"]);
        assert_eq!(
            shown("key s3cr3t-value of tok").as_deref(),
            Some("key *** of ***")
        );
        assert_eq!(shown("s3cr3t\u{0}-val\u{200b}ue").as_deref(), Some("***"));
        let cut = shown(&format!("{}s3cr3t-value", "x".repeat(250))).unwrap();
        assert!(cut.ends_with("xx***"), "{cut}");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_one_short_line_without_secrets(
            head in any::<String>(),
            tail in "[\\PC\\pC]{0,400}",
            secret in prop_oneof!["[a-z*…]{1,3}", "\\PC{1,20}", any::<String>()],
        ) {
            let text = format!("{head}{secret}{tail}");
            if let Some(shown) = message(&body(&text), &[&secret]) {
                prop_assert!(shown.chars().count() <= MAX_CHARS);
                prop_assert!(shown.chars().all(|c| is_shown(&c)));
                prop_assert!(secret.is_empty() || !shown.contains(&secret));
                prop_assert!(!shown.trim().is_empty());
            }
        }

        #[test]
        fn plain_words_stay_as_they_are(text in "[A-Za-z0-9_.,:'()/-]([A-Za-z0-9 _.,:'()/-]{0,200}[a-z])?") {
            prop_assert_eq!(message(&body(&text), &["no-part-of-it!"]), Some(text));
        }
    }
}
