//! Whether it can be understood which namespaces an account allows.
//!
//! The definition refuses what is wrong with a selector. What was stored before that, or with an older definition, is told here.

use cortecs_resources::account::AllowedNamespaces;

/// The longest name of a label, and the longest value.
const MAX_LABEL: usize = 63;

/// What is wrong with the selector, if anything is. Such a selector allows no namespace.
pub fn flaw(allowed: &AllowedNamespaces) -> Option<String> {
    let selector = allowed.selector.as_ref()?;
    let labels = selector.match_labels.iter().flatten();
    let mut of_labels = labels.filter_map(|(key, value)| flaw_of_label(key, [value]));
    let requirements = selector.match_expressions.iter().flatten();
    let mut of_requirements = requirements.filter_map(|requirement| {
        let (key, operator) = (&requirement.key, requirement.operator.as_str());
        let values = requirement.values.as_deref().unwrap_or_default();
        let takes_values = match operator {
            "In" | "NotIn" => true,
            "Exists" | "DoesNotExist" => false,
            other => {
                let other: String = other.chars().take(MAX_LABEL).collect();
                return Some(format!(
                    "{other:?} is no operator: write In, NotIn, Exists or DoesNotExist"
                ));
            }
        };
        match (takes_values, values.is_empty()) {
            (true, true) => Some(format!("{operator} needs values")),
            (false, false) => Some(format!("{operator} takes no values")),
            _ => flaw_of_label(key, values),
        }
    });
    let flaw = of_labels.next().or_else(|| of_requirements.next())?;
    Some(format!("allowedNamespaces.selector: {flaw}"))
}

fn flaw_of_label<'a>(key: &str, values: impl IntoIterator<Item = &'a String>) -> Option<String> {
    let (prefix, name) = key.split_once('/').unwrap_or(("x", key));
    let odd = if !is_domain(prefix) || !is_word(name) {
        key
    } else {
        let mut values = values.into_iter();
        values.find(|value| !value.is_empty() && !is_word(value))?
    };
    let odd: String = odd.chars().take(MAX_LABEL).collect();
    Some(format!("{odd:?} is not part of any label"))
}

fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= MAX_LABEL
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text
            .chars()
            .all(|c| ends(c) || matches!(c, '-' | '_' | '.'))
}

fn is_domain(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || matches!(c, '-' | '.'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn flaw_of(selector: Value) -> Option<String> {
        let allowed = json!({ "from": "Selector", "selector": selector });
        flaw(&serde_json::from_value(allowed).unwrap())
    }

    #[test]
    fn selectors_as_they_should_be_have_no_flaw() {
        for selector in [
            json!({}),
            json!({ "matchLabels": { "team": "a", "example.com/stage": "" } }),
            json!({ "matchExpressions": [
                { "key": "team", "operator": "In", "values": ["a", "b.c_d-e"] },
                { "key": "kubernetes.io/metadata.name", "operator": "Exists" },
                { "key": "x", "operator": "DoesNotExist", "values": [] },
            ] }),
        ] {
            assert_eq!(flaw_of(selector.clone()), None, "{selector}");
        }
        let all = serde_json::from_value(json!({ "from": "All" })).unwrap();
        assert_eq!(flaw(&all), None);
    }

    #[test]
    fn what_selects_nothing_is_named() {
        let expression = |key: &str, operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        for (selector, says) in [
            (expression("team", "in", &["a"]), "\"in\" is no operator"),
            (expression("team", "Equals", &["a"]), "write In, NotIn"),
            (expression("team", "In", &[]), "In needs values"),
            (expression("team", "NotIn", &[]), "NotIn needs values"),
            (
                expression("team", "Exists", &["a"]),
                "Exists takes no values",
            ),
            (
                expression("my team", "Exists", &[]),
                "\"my team\" is not part",
            ),
            (expression("Example.com/team", "Exists", &[]), "is not part"),
            (
                expression("team", "In", &["a", "b c"]),
                "\"b c\" is not part",
            ),
            (
                json!({ "matchLabels": { "team": "a,b" } }),
                "\"a,b\" is not part",
            ),
            (json!({ "matchLabels": { "": "a" } }), "\"\" is not part"),
        ] {
            let said = flaw_of(selector.clone()).unwrap_or_default();
            let starts = said.starts_with("allowedNamespaces.selector: ");
            assert!(starts && said.contains(says), "{selector}: {said}");
        }
    }
}
