//! A time that a user writes.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A time as a user wrote it, in the form of RFC 3339. It is a text, since the API server takes times that no parser reads (an offset of 99
/// hours): one such object would keep the operator from reading all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UserTime(#[schemars(length(max = 40))] String);

impl UserTime {
    /// The moment; `None` if the text cannot be read.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.0.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_time_is_kept_and_is_no_moment() {
        let read = |text: &str| serde_json::from_value::<UserTime>(text.into()).unwrap();
        let second = read("1970-01-01T01:00:01.5+01:00").timestamp().unwrap();
        assert_eq!(second.as_millisecond(), 1500);
        for text in [
            "2026-01-01T00:00:00+99:99",
            "2026-02-30T00:00:00Z",
            "soon",
            "",
        ] {
            let time = read(text);
            assert_eq!(
                (time.timestamp(), serde_json::to_value(&time).unwrap()),
                (None, text.into())
            );
        }
    }
}
