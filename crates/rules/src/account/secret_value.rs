//! The values of a Secret, as people and editors leave them. Pure.

use std::fmt;

use cortecs_api::is_shown;

/// Why a value can be no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    Utf16,
    NotUtf8,
    Empty,
    Quoted,
    Named,
    Lines,
    Space,
    Unseen,
}

/// What is wrong with the value, after its name. The words never have a part of it.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16 => "is UTF-16 text: save it as UTF-8",
            Self::NotUtf8 => "is not UTF-8 text: check how it was encoded",
            Self::Empty => "is empty: fill it in",
            Self::Quoted => "is in quotes: take them off",
            Self::Named => "begins with the name of its key: leave only what follows the =",
            Self::Lines => "has several lines: leave only the API's value",
            Self::Space => "has white space within: check what was copied",
            Self::Unseen => "has characters that cannot be seen: check what was copied",
        })
    }
}

/// The value of `key` without what is no part of it: white space and byte order marks at both ends.
///
/// # Errors
/// When it can be no credential.
pub fn read<'a>(key: &str, bytes: &'a [u8]) -> Result<&'a str, Flaw> {
    if is_utf16(bytes) {
        return Err(Flaw::Utf16);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Flaw::NotUtf8)?;
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == BYTE_ORDER_MARK);
    let flaw = if text.is_empty() {
        Flaw::Empty
    } else if text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
        Flaw::Lines
    } else if is_quoted(text) {
        Flaw::Quoted
    } else if text
        .strip_prefix(key)
        .is_some_and(|rest| rest.trim_start().starts_with('='))
    {
        Flaw::Named
    } else if text.contains(char::is_whitespace) {
        Flaw::Space
    } else if !text.chars().all(|c| is_shown(&c)) {
        Flaw::Unseen
    } else {
        return Ok(text);
    };
    Err(flaw)
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// With its byte order mark, or without one where every second byte is zero, as in English text.
fn is_utf16(bytes: &[u8]) -> bool {
    let has_mark = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
    let is_zero = |first: usize| bytes.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    has_mark || (bytes.len() > 1 && (is_zero(0) || is_zero(1)))
}

/// A quotation mark at each end, of one kind or as typesetters pair them.
fn is_quoted(text: &str) -> bool {
    let mut chars = text.chars();
    let (first, last) = (chars.next(), chars.next_back());
    first.zip(last).is_some_and(|ends| {
        matches!(
            ends,
            ('"', '"')
                | ('\'', '\'')
                | ('`', '`')
                | ('“' | '„' | '”', '“' | '”')
                | ('‘' | '’' | '‚', '‘' | '’')
                | ('«', '»')
                | ('»', '«')
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "CORTECS_CLIENT_SECRET";

    #[test]
    fn what_editors_leave_at_the_ends_is_taken_off() {
        for left in [
            "s3",
            "s3\n",
            "s3\r\n",
            "s3\n\n",
            " s3 ",
            "\ts3\t",
            "\u{feff}s3",
            "\u{feff}s3\r\n",
            "s3\u{a0}",
            "\n \u{feff} s3",
            "s3\u{feff}",
            "\u{2028}s3\u{3000}",
        ] {
            assert_eq!(read(KEY, left.as_bytes()), Ok("s3"), "{left:?}");
        }
        // A mark that is not at both ends, and whatever else an API may give out.
        for odd in [
            "s'3",
            "\"s3",
            "s3'",
            "s=3",
            "a+b/c==",
            "CORTECS_CLIENT_SECRET",
            "ß",
            "\"",
        ] {
            assert_eq!(read(KEY, odd.as_bytes()), Ok(odd));
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_kind() {
        for (flaw, values) in [
            (
                Flaw::Empty,
                &["", " ", "\n", "\r\n", "\u{feff}", " \u{feff}\t\n", "\u{a0}"][..],
            ),
            (
                Flaw::Quoted,
                &[
                    "\"s3\"",
                    "'s3'\n",
                    "`s3`",
                    "“s3”",
                    "„s3“",
                    "\u{feff}\"s3\"",
                    "\"\"",
                    "'s 3'",
                ],
            ),
            (
                Flaw::Lines,
                &[
                    "s3\nt4",
                    "s3\r\nt4",
                    "s3\rt4",
                    "\"s3\"\n\"t4\"",
                    "s3\u{2028}t4",
                ],
            ),
            (Flaw::Space, &["s3 t4", "s3\tt4", "s3\u{a0}t4"]),
            (
                Flaw::Unseen,
                &[
                    "s3\u{0}",
                    "s\u{1b}[3",
                    "s3\u{200b}",
                    "s\u{feff}3",
                    "\u{7f}s3",
                ],
            ),
            (
                Flaw::Named,
                &["CORTECS_CLIENT_SECRET=s3", "CORTECS_CLIENT_SECRET = s3"],
            ),
        ] {
            for value in values {
                assert_eq!(read(KEY, value.as_bytes()), Err(flaw), "{value:?}");
            }
        }
        for (flaw, bytes) in [
            (Flaw::NotUtf8, &b"s3\xff"[..]),
            (Flaw::NotUtf8, b"\xffs3"),
            (Flaw::Utf16, b"\xff\xfes\x003\x00"),
            (Flaw::Utf16, b"\xfe\xff\x00s\x003"),
            (Flaw::Utf16, b"s\x003\x00"),
            (Flaw::Utf16, b"\x00s\x003"),
            (Flaw::Utf16, b"\xff\xfe"),
        ] {
            assert_eq!(read(KEY, bytes), Err(flaw), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_good_value_stays_as_it_is_whatever_is_around_it(
            value in "[!-&(-~]{1,40}", ends in "[ \t\r\n\u{feff}\u{a0}]{0,5}",
        ) {
            prop_assume!(!is_quoted(&value));
            let around = format!("{ends}{value}{ends}");
            prop_assert_eq!(read(KEY, around.as_bytes()), Ok(value.as_str()));
        }

        #[test]
        fn what_is_taken_can_be_seen_and_the_words_quote_nothing(bytes in any::<Vec<u8>>()) {
            match read(KEY, &bytes) {
                Ok(text) => {
                    prop_assert!(!text.is_empty());
                    prop_assert!(text.chars().all(|c| is_shown(&c) && !c.is_whitespace()));
                }
                Err(flaw) => prop_assert!(flaw.to_string().is_ascii()),
            }
        }
    }
}
