//! What the message of `Ready` says beside the state.

use cortecs_resources::annotations;
use kube::ResourceExt;

/// The annotations whose value is too long to be looked at.
pub fn ignored_annotations(object: &impl ResourceExt, names: &[&str]) -> Option<String> {
    let ignored = annotations::too_long(object, names);
    let limit = annotations::MAX_VALUE_LENGTH;
    match ignored.as_slice() {
        [] => None,
        [name] => Some(format!(
            "annotation {name} is ignored: its value has more than {limit} bytes"
        )),
        names => Some(format!(
            "annotations {} are ignored: their values have more than {limit} bytes",
            names.join(", ")
        )),
    }
}

/// The message with the notes.
pub fn append(message: &mut String, notes: impl IntoIterator<Item = String>) {
    for note in notes {
        message.push_str("; ");
        message.push_str(&note);
    }
}
