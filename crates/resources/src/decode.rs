//! Objects as the API server has them, each decoded by itself.
//!
//! A definition may be newer than this program, and the API server accepts values that a parser does not. One such object must not keep a
//! whole list from being read. Of an object that cannot be decoded as a whole, the rest is kept: its metadata, and what of its status says
//! which instance is whose. It must not be acted on.

use std::{borrow::Cow, fmt, fmt::Debug, sync::Arc};

use kube::{Resource, core::ObjectMeta};
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use serde_json::{Map, Value, json};
use serde_path_to_error::{Path, Segment};

use crate::{CortecsAccount, CortecsHardwareType, CortecsInstance, CortecsModel};

/// The most parts of one object that are left out.
const MAX_REPAIRS: usize = 64;
/// The longest message about an object, in characters.
const MAX_MESSAGE: usize = 256;
/// What stands for times that cannot be read.
const LONG_AGO: &str = "1970-01-01T00:00:00Z";
const FAR_AHEAD: &str = "2200-01-01T00:00:00Z";

/// A kind whose objects are decoded one by one.
pub trait Salvage: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned {
    /// A spec, in JSON, for an object whose own cannot be read: one that asks for nothing.
    const SPEC: &str;
}

impl Salvage for CortecsInstance {
    const SPEC: &str =
        r#"{"modelId":"unreadable/unreadable","suspend":true,"deletionPolicy":"Orphan"}"#;
}

impl Salvage for CortecsAccount {
    const SPEC: &str = r#"{"credentialsSecretRef":{"name":"unreadable"},"mode":"Hold"}"#;
}

impl Salvage for CortecsModel {
    const SPEC: &str = r#"{"id":"unreadable"}"#;
}

impl Salvage for CortecsHardwareType {
    const SPEC: &str = r#"{"id":"unreadable"}"#;
}

/// An object, and what of it cannot be decoded.
#[derive(Clone, Debug)]
pub struct Decoded<K> {
    pub object: Arc<K>,
    pub problem: Option<Arc<Unreadable>>,
}

/// Why an object cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The first field that cannot be read: `spec.deletionPolicy`.
    pub field: String,
    pub why: String,
    /// All fields that were left out.
    pub left_out: Vec<String>,
}

impl Unreadable {
    /// Whether this field, or a part of it, was left out.
    pub fn lacks(&self, field: &str) -> bool {
        let covers = |one: &str, other: &str| {
            let rest = other.strip_prefix(one);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let mut fields = self.left_out.iter();
        fields.any(|left_out| covers(left_out, field) || covers(field, left_out))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read: {}", self.field, self.why)
    }
}

impl<'de, K: Salvage> Deserialize<'de> for Decoded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        decode(value).map_err(|unreadable| D::Error::custom(unreadable.to_string()))
    }
}

/// Decodes an object, whole or in part.
///
/// # Errors
/// If not even its metadata can be decoded.
pub fn decode<K: Salvage>(mut value: Value) -> Result<Decoded<K>, Unreadable> {
    if let Ok(object) = K::deserialize(&value) {
        return Ok(Decoded {
            object: Arc::new(object),
            problem: None,
        });
    }
    let mut first = None;
    for _ in 0..MAX_REPAIRS {
        let error = match serde_path_to_error::deserialize::<_, K>(&value) {
            Ok(object) => {
                return Ok(Decoded {
                    object: Arc::new(object),
                    problem: first.map(Arc::new),
                });
            }
            Err(error) => error,
        };
        let path = keys(error.path());
        let field = shown(&error.path().to_string(), MAX_MESSAGE);
        let first = first.get_or_insert_with(|| Unreadable {
            field: field.clone(),
            why: shown(&error.inner().to_string(), MAX_MESSAGE),
            left_out: Vec::new(),
        });
        first.left_out.push(field);
        if !leave_out(&mut value, &path, K::SPEC) {
            break;
        }
    }
    let unreadable = first.unwrap_or_else(|| Unreadable {
        field: "the object".to_owned(),
        why: "too much of it is odd".to_owned(),
        left_out: Vec::new(),
    });
    least(&value, K::SPEC)
        .into_iter()
        .find_map(|(value, left_out)| Some((K::deserialize(&value).ok()?, left_out)))
        .map(|(object, left_out)| Decoded {
            object: Arc::new(object),
            problem: Some(Arc::new(Unreadable {
                left_out: vec!["spec".to_owned(), left_out.to_owned()],
                ..unreadable.clone()
            })),
        })
        .ok_or(unreadable)
}

/// The object with less and less of its status, and what of that is left out: what tells which instance is whose comes last.
fn least(object: &Value, spec: &str) -> [(Value, &'static str); 3] {
    let spec: Value = serde_json::from_str(spec).unwrap_or_default();
    let with = |fields: &[&str]| {
        let status = fields.iter().filter_map(|name| {
            let value = object.get("status")?.get(name)?;
            Some(((*name).to_owned(), value.clone()))
        });
        let metadata = object.get("metadata").cloned().unwrap_or_default();
        let mut least = json!({ "metadata": metadata, "spec": spec.clone() });
        if !fields.is_empty() {
            least["status"] = Value::Object(status.collect());
        }
        least
    };
    [
        (
            with(&["instanceId", "account", "journal"]),
            "status.conditions",
        ),
        (with(&["instanceId", "account"]), "status.journal"),
        (with(&[]), "status"),
    ]
}

/// A step from a value to one within it.
enum Key {
    Field(String),
    Index(usize),
}

fn keys(path: &Path) -> Vec<Key> {
    let key = |segment: &Segment| match segment {
        Segment::Map { key } | Segment::Enum { variant: key } => Some(Key::Field(key.clone())),
        Segment::Seq { index } => Some(Key::Index(*index)),
        Segment::Unknown => None,
    };
    path.iter().map_while(key).collect()
}

/// Takes the value at the path out of the object, or writes another one in its place. Whether there was something to change.
fn leave_out(object: &mut Value, path: &[Key], spec: &str) -> bool {
    let Some(Key::Field(top)) = path.first() else {
        return leave_out_top(object, spec);
    };
    let in_status = top == "status";
    if path.len() == 1 {
        let replaced = match top.as_str() {
            "spec" => return replace_spec(object, spec),
            "metadata" => false,
            _ => true,
        };
        return replaced && take(object, path);
    }
    let time = match path.last() {
        Some(Key::Field(name)) if name == "requestedAt" => Some(LONG_AGO),
        // What is recent is remembered.
        Some(Key::Field(name)) if name == "voidedAt" => Some(FAR_AHEAD),
        _ => None,
    };
    if in_status
        && let Some(time) = time
        && let Some(Value::String(text)) = at(object, path)
        && text != time
    {
        // What a start is known by is kept with it.
        time.clone_into(text);
        return true;
    }
    take(object, path)
}

/// Something that every object has is missing.
fn leave_out_top(object: &mut Value, spec: &str) -> bool {
    let Value::Object(fields) = object else {
        return false;
    };
    if fields.contains_key("spec") {
        return fields.remove("status").is_some();
    }
    replace_spec(object, spec)
}

fn replace_spec(object: &mut Value, spec: &str) -> bool {
    let least: Value = serde_json::from_str(spec).unwrap_or_else(|_| Value::Object(Map::new()));
    let is_new = object.get("spec") != Some(&least);
    if let Value::Object(fields) = object {
        fields.insert("spec".to_owned(), least);
    }
    is_new
}

fn at<'a>(value: &'a mut Value, path: &[Key]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |value, key| match key {
        Key::Field(name) => value.get_mut(name),
        Key::Index(index) => value.get_mut(index),
    })
}

/// Takes out the value at the path, or the deepest one above it that is there.
fn take(object: &mut Value, path: &[Key]) -> bool {
    for length in (1..=path.len()).rev() {
        let (above, last) = path.split_at(length - 1);
        let Some(above) = at(object, above) else {
            continue;
        };
        let taken = match (above, last.first()) {
            (Value::Object(fields), Some(Key::Field(name))) => fields.remove(name).is_some(),
            (Value::Array(items), Some(Key::Index(index))) if *index < items.len() => {
                items.remove(*index);
                true
            }
            _ => false,
        };
        if taken {
            return true;
        }
    }
    false
}

fn shown(text: &str, limit: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(limit)
        .collect()
}

impl<K: Resource<DynamicType = ()> + Clone> Resource for Decoded<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        K::kind(&())
    }

    fn group(_: &()) -> Cow<'_, str> {
        K::group(&())
    }

    fn version(_: &()) -> Cow<'_, str> {
        K::version(&())
    }

    fn plural(_: &()) -> Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.object.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        Arc::make_mut(&mut self.object).meta_mut()
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
