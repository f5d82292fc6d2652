//! The messages of errors, as they are shown.

/// The longest error message in characters.
const MESSAGE_LIMIT: usize = 256;

/// The message of `error`, followed by the messages of its causes unless already contained.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// The message of the innermost cause of `error`, as one short line.
pub(super) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    cut(&root.to_string())
}

/// One line of at most [`MESSAGE_LIMIT`] characters.
pub(super) fn cut(message: &str) -> String {
    let line = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    match message.char_indices().nth(MESSAGE_LIMIT) {
        None => line.collect(),
        Some(_) => line.take(MESSAGE_LIMIT - 1).chain(['…']).collect(),
    }
}
