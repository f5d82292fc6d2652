//! For tests: statuses in the form in which they are stored.

use serde_json::{Value, json};

/// A status out of its parts, in which what belongs into the journal is written beside the rest.
pub(crate) fn stored(mut status: Value) -> Value {
    let Some(parts) = status.as_object_mut() else {
        return status;
    };
    let mut journal = json!({});
    for part in [
        "start",
        "restart",
        "requestedArgs",
        "lastStartTime",
        "reachedGeneration",
        "missingSince",
    ] {
        if let Some(value) = parts.remove(part) {
            journal["slots"]["current"][part] = value;
        }
    }
    if let Some(voided) = parts.remove("voidedStarts") {
        journal["voidedStarts"] = voided;
    }
    if journal != json!({}) {
        parts.insert("journal".to_owned(), journal);
    }
    status
}

/// The record of the instance in the status of a resource.
pub(crate) fn slot(resource: &mut Value) -> &mut Value {
    &mut resource["status"]["journal"]["slots"]["current"]
}
