//! Values that answers have in another notation, or that are others.

use serde::Deserialize;
use serde_json::Value;

/// A change of all values of this name, wherever they are in an answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Rewrite {
    pub name: String,
    /// Only the values that equal this one.
    #[serde(default)]
    pub from: Option<Value>,
    pub to: Notation,
}

/// How a value is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notation {
    /// A number with a fraction: 5.0.
    Fraction,
    /// A number as text: "5".
    Text,
    /// This value instead.
    Value(Value),
}

impl Notation {
    fn write(&self, value: &mut Value) {
        match self {
            Self::Value(other) => value.clone_from(other),
            Self::Fraction => {
                if let Some(number) = value.as_f64() {
                    *value = Value::from(number);
                }
            }
            Self::Text => {
                if value.is_number() {
                    *value = Value::String(value.to_string());
                }
            }
        }
    }
}

/// Rewrites the body of an answer.
pub(super) fn rewrite(body: &mut Value, rewrites: &[Rewrite]) {
    match body {
        Value::Object(entries) => {
            for (name, value) in entries {
                rewrite(value, rewrites);
                let mut changes = rewrites.iter().filter(|change| change.name == *name);
                let takes = |change: &&Rewrite| change.from.as_ref().is_none_or(|v| v == value);
                if let Some(change) = changes.find(takes) {
                    change.to.write(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, rewrites)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_a_name_are_rewritten_at_any_depth() {
        let mut body = json!({ "a": 5, "list": [{ "a": 1.5, "b": "x" }, { "a": "5" }] });
        let changes = |to: Value| {
            let changes = json!([{ "name": "a", "to": to }]);
            serde_json::from_value::<Vec<Rewrite>>(changes).unwrap()
        };
        rewrite(&mut body, &changes(json!("text")));
        assert_eq!(
            body,
            json!({ "a": "5", "list": [{ "a": "1.5", "b": "x" }, { "a": "5" }] })
        );
        let changed = json!([{ "name": "a", "from": "1.5", "to": { "value": 2 } }]);
        let changed: Vec<Rewrite> = serde_json::from_value(changed).unwrap();
        rewrite(&mut body, &changed);
        assert_eq!(
            body,
            json!({ "a": "5", "list": [{ "a": 2, "b": "x" }, { "a": "5" }] })
        );
        rewrite(&mut body, &changes(json!({ "value": 7 })));
        rewrite(&mut body, &changes(json!("fraction")));
        assert_eq!(body["list"][1].to_string(), r#"{"a":7.0}"#);
    }
}
