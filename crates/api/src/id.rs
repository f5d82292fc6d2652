//! Ids in URLs and in answers.

use std::collections::HashSet;

#[cfg(feature = "client")]
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

#[cfg(feature = "client")]
use crate::error::Cause;
use crate::text;

/// The longest id that is believed to be one, in bytes.
const MAX_LENGTH: usize = 256;

/// Why `id` can be no id of the API, if so. `.` and `..` have a meaning of their own in a URL, also percent-encoded, and
/// would name another endpoint.
fn flaw(id: &str) -> Option<&'static str> {
    match id {
        "" => Some("an id is empty"),
        "." | ".." => Some("an id is `.` or `..`"),
        _ if id.len() > MAX_LENGTH => Some("an id is longer than 256 bytes"),
        _ => None,
    }
}

/// The words that follow `/instances/` in the API's other endpoints. `DELETE /instances/delete-all` deletes every instance.
const RESERVED: [&str; 5] = ["delete-all", "stop-all", "start", "stop", "restart"];

/// Refuses an argument that can be no id. Nothing is sent for it.
#[cfg(feature = "client")]
pub(super) fn check_argument(id: &str) -> Result<(), Cause> {
    flaw(id).map_or(Ok(()), |why| Err(Cause::Invalid(why)))
}

/// Refuses the id of an instance that no call is made about.
#[cfg(feature = "client")]
pub(super) fn check_instance(id: &str) -> Result<(), Cause> {
    flaw_of_instance(id).map_or(Ok(()), |why| Err(Cause::Invalid(why)))
}

/// Why no call is made about an instance with this id, if so: besides what can be no id, it names another endpoint, or
/// could be made to name one by a proxy that decodes or cuts paths. Such an instance could never be stopped.
pub fn flaw_of_instance(id: &str) -> Option<&'static str> {
    if let Some(why) = flaw(id) {
        return Some(why);
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_~.".contains(c);
    for part in id.split(|c| !is_plain(c)) {
        if part == "." || part == ".." {
            return Some("an id has `.` or `..` as a part");
        }
        if RESERVED.iter().any(|word| part.eq_ignore_ascii_case(word)) {
            return Some("an id names another endpoint");
        }
    }
    None
}

/// Refuses an id in an answer that can be no id.
pub(super) fn check_answer(id: &str) -> Result<(), &'static str> {
    if let Some(why) = flaw(id) {
        return Err(why);
    }
    if !id.chars().all(|c| text::is_shown(&c)) {
        return Err("an id has characters that cannot be seen");
    }
    Ok(())
}

/// Checks each id in a list, and that each occurs once.
pub(super) fn check_list<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), &'static str> {
    let mut seen = HashSet::new();
    for id in ids {
        check_answer(id)?;
        if !seen.insert(id) {
            return Err("an id occurs twice");
        }
    }
    Ok(())
}

/// All characters but letters, digits, `-`, `_`, `~` and `.` are encoded in a segment of a URL's path.
#[cfg(feature = "client")]
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'~')
    .remove(b'.');

/// `id` as one segment of a URL's path: every other byte is percent-encoded.
#[cfg(feature = "client")]
pub(super) fn segment(id: &str) -> String {
    utf8_percent_encode(id, ENCODED).to_string()
}

#[cfg(test)]
#[cfg(feature = "client")]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::*;

    fn decode(segment: &str) -> Vec<u8> {
        let bytes = segment.as_bytes();
        let mut out = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] == b'%' {
                out.push(u8::from_str_radix(&segment[at + 1..at + 3], 16).unwrap());
                at += 3;
            } else {
                out.push(bytes[at]);
                at += 1;
            }
        }
        out
    }

    #[test]
    fn dots_and_nothing_are_no_ids() {
        for id in ["", ".", "..", &"x".repeat(257)] {
            assert!(check_argument(id).is_err(), "{id:?}");
            assert!(check_answer(id).is_err(), "{id:?}");
        }
        for id in ["...", ".a", "a..", "%2e%2e", "a b", &"x".repeat(256)] {
            assert!(check_argument(id).is_ok(), "{id:?}");
        }
        for id in ["a\0b", "a\nb", "\u{1b}[31m", "a\u{202e}b", "a\u{200b}"] {
            assert!(check_answer(id).is_err(), "{id:?}");
        }
    }

    #[test]
    fn an_instance_is_not_named_like_an_endpoint() {
        for id in [
            "delete-all",
            "Delete-All",
            "delete-all?force_deletion=true",
            "delete-all/",
            "delete-all\0",
            "x/../delete-all",
            "x/..",
            "..\\user",
            "stop-all",
            "start",
        ] {
            assert!(check_instance(id).is_err(), "{id:?}");
        }
        for id in ["i-1", "restart-1", "delete-all-2", "a..b", "a/b"] {
            assert!(check_instance(id).is_ok(), "{id:?}");
        }
    }

    #[test]
    fn a_list_has_each_id_once() {
        assert!(check_list(["a", "b"].into_iter()).is_ok());
        assert!(check_list(["a", "b", "a"].into_iter()).is_err());
        assert!(check_list(["a", ""].into_iter()).is_err());
    }

    proptest! {
        #[test]
        fn any_id_stays_one_segment_of_its_url(id in prop_oneof![
            any::<String>(),
            "[./%?#\\\\\\x00-\\x20a2eE&;:@]{0,12}",
        ]) {
            prop_assume!(check_argument(&id).is_ok());
            let text = format!("https://api.example/v1/instances/{}", segment(&id));
            let url = Url::parse(&text).unwrap();
            prop_assert_eq!(url.host_str(), Some("api.example"));
            prop_assert_eq!(url.query(), None);
            prop_assert_eq!(url.fragment(), None);
            let segments: Vec<&str> = url.path_segments().unwrap().collect();
            prop_assert_eq!(&segments[..2], &["v1", "instances"][..]);
            prop_assert_eq!(segments.len(), 3);
            prop_assert_eq!(decode(segments[2]), id.as_bytes());
        }
    }
}
