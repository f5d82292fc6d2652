//! The annotation `cortecs.ai/instance-id`: which instance is a resource's own, in a form that only the operator can write.
//!
//! The annotation is `ID.MAC`: the id percent-encoded, and a MAC over namespace, name and id with a key derived from the account's
//! client secret. So a user can neither invent a value nor move one to another resource. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{hkdf, hmac};

/// The purpose of the key: another use of the same secret, or another form of the sealed id, gets another key.
const SALT: &[u8] = b"cortecs-operator";
const LABEL: &[u8] = b"cortecs.ai/instance-id v1";

/// The characters that are percent-encoded in an id: all but letters, digits, `-`, `_`, `~` and `.`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'~')
    .remove(b'.');

/// Length of the MAC in hexadecimal digits.
const MAC_DIGITS: usize = 64;

/// The longest value that is read, in bytes: an id of 256 bytes, each percent-encoded, a dot and the MAC.
const MAX_LENGTH: usize = 3 * 256 + 1 + MAC_DIGITS;

/// The proof that the annotation of a resource gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SealedId {
    /// There is none, or it was not sealed for this resource with the account's secret.
    #[default]
    None,
    /// There is one, and no secret to check it with.
    Unchecked,
    /// This instance was this resource's own.
    Proven(String),
}

/// The key of one client secret.
pub struct Key(hmac::Key);

impl Key {
    /// Derives the key. `None` if that fails; it fails for no secret.
    pub fn derive(client_secret: &str) -> Option<Self> {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(client_secret.as_bytes());
        let key = secret.expand(&[LABEL], hmac::HMAC_SHA256).ok()?;
        Some(Self(key.into()))
    }

    /// The annotation's value for an instance of a resource.
    pub fn seal(&self, namespace: &str, name: &str, instance_id: &str) -> String {
        let mac = hmac::sign(&self.0, &message(namespace, name, instance_id));
        let mut text = utf8_percent_encode(instance_id, ENCODED).to_string();
        text.push('.');
        for byte in mac.as_ref() {
            push_hex(&mut text, *byte);
        }
        text
    }

    /// The id in a value that was sealed with this key for this resource.
    pub fn verify(&self, namespace: &str, name: &str, value: &str) -> Option<String> {
        let (instance_id, mac) = parse(value)?;
        let message = message(namespace, name, &instance_id);
        hmac::verify(&self.0, &message, &mac).ok()?;
        Some(instance_id)
    }
}

/// Whether the value has the form of a sealed id. [`Key::verify`] says whether the value is valid.
pub fn is_well_formed(value: &str) -> bool {
    parse(value).is_some()
}

/// The id that a value names. [`Key::verify`] says whether the value is valid.
pub fn named_id(value: &str) -> Option<String> {
    parse(value).map(|(instance_id, _)| instance_id)
}

/// The bytes that are signed: each part after its length, so that no two resources and ids give the same bytes.
fn message(namespace: &str, name: &str, instance_id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [namespace, name, instance_id] {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn parse(value: &str) -> Option<(String, Vec<u8>)> {
    if value.len() > MAX_LENGTH {
        return None;
    }
    let (id, mac) = value.rsplit_once('.')?;
    if mac.len() != MAC_DIGITS || id.is_empty() {
        return None;
    }
    let digits = mac.as_bytes().chunks(2);
    let mac: Option<Vec<u8>> = digits.map(byte_of).collect();
    Some((decode(id)?, mac?))
}

/// The id, if each `%` is followed by two hexadecimal digits and the result is UTF-8.
fn decode(text: &str) -> Option<String> {
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let id = percent_decode_str(text).decode_utf8().ok()?;
    text.split('%')
        .skip(1)
        .all(is_escape)
        .then(|| id.into_owned())
}

fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 0xf] {
        text.extend(char::from_digit(u32::from(digit), 16));
    }
}

fn byte_of(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| {
        let digit = char::from(*digits.get(at)?).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    Some(digit(0)? << 4 | digit(1)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(secret: &str) -> Key {
        Key::derive(secret).unwrap()
    }

    #[test]
    fn only_what_was_sealed_for_this_resource_with_this_secret_holds() {
        let sealed = key("s3cret").seal("team", "phi", "i-1");
        assert!(sealed.starts_with("i-1.") && !sealed.contains("s3cret"));
        let holds = |secret, namespace, name, value: &str| {
            key(secret).verify(namespace, name, value).is_some()
        };
        assert_eq!(
            key("s3cret").verify("team", "phi", &sealed).as_deref(),
            Some("i-1")
        );
        assert!(!holds("other", "team", "phi", &sealed));
        assert!(!holds("s3cret", "other", "phi", &sealed));
        assert!(!holds("s3cret", "team", "other", &sealed));
        assert!(!holds(
            "s3cret",
            "team",
            "phi",
            &sealed.replace("i-1", "i-2")
        ));
    }

    #[test]
    fn the_form_is_part_of_the_promise() {
        // A backup outlives a version of the operator.
        assert_eq!(
            key("s3cret").seal("team", "phi", "i-1"),
            "i-1.a09d7f2582d5feddfd6d398a9410ca0504390553fdce0c8f6b592a8b830224e1"
        );
    }

    #[test]
    fn parts_cannot_be_shifted() {
        let key = key("s");
        let mac = |value: String| value.rsplit_once('.').unwrap().1.to_owned();
        assert_ne!(mac(key.seal("ab", "c", "i")), mac(key.seal("a", "bc", "i")));
        assert_ne!(mac(key.seal("a", "bi", "x")), mac(key.seal("a", "b", "ix")));
    }

    #[test]
    fn what_is_no_sealed_id_is_none() {
        let mac = "0".repeat(MAC_DIGITS);
        let long = format!("{}.{mac}", "i".repeat(MAX_LENGTH));
        for value in [
            "",
            ".",
            "i-1",
            "i-1.",
            "i-1.zz",
            &format!(".{mac}"),
            &format!("%4.{mac}"),
            &format!("%zz.{mac}"),
            &format!("%ff.{mac}"),
            &format!("i.{}", "g".repeat(MAC_DIGITS)),
            &format!("i.{}ä", "0".repeat(MAC_DIGITS - 2)),
            &long,
        ] {
            assert!(!is_well_formed(value), "{value}");
        }
        assert!(is_well_formed(&format!("i-1.{mac}")));
    }

    proptest! {
        #[test]
        fn every_id_comes_back(id in "\\PC{1,64}", namespace in "[a-z-]{1,63}", name in "[a-z.-]{1,253}") {
            let sealed = key("s").seal(&namespace, &name, &id);
            prop_assert_eq!(key("s").verify(&namespace, &name, &sealed), Some(id));
            prop_assert!(sealed.is_ascii() && sealed.len() <= MAX_LENGTH);
        }

        #[test]
        fn no_text_is_believed(text in "\\PC{0,200}") {
            prop_assert_eq!(key("s").verify("ns", "n", &text), None);
        }
    }
}
