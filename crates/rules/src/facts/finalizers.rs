//! The finalizers that others have set.

use cortecs_api::fit;

/// The most finalizers that a message names, and the longest name.
const MAX_NAMES: usize = 3;
const MAX_NAME: usize = 128;

/// The finalizers except the operator's own, for a message; `None` if there are none.
pub fn of_others(finalizers: &[String], own: &str) -> Option<String> {
    let others = || finalizers.iter().filter(|name| *name != own);
    let count = others().count();
    let names: Vec<String> = others()
        .take(MAX_NAMES)
        .map(|name| fit(name, MAX_NAME))
        .collect();
    let names = names.join(", ");
    match count {
        0 => None,
        1 => Some(format!("finalizer {names}")),
        _ if count > MAX_NAMES => Some(format!("finalizers {names}, …")),
        _ => Some(format!("finalizers {names}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_some_of_the_others() {
        let list = |names: &str| -> Vec<String> { names.split(' ').map(str::to_owned).collect() };
        for (names, said) in [
            ("own", None),
            ("own a.example/b", Some("finalizer a.example/b")),
            ("a own b", Some("finalizers a, b")),
            ("a b c d own", Some("finalizers a, b, c, …")),
        ] {
            assert_eq!(of_others(&list(names), "own").as_deref(), said, "{names}");
        }
    }
}
