//! The names of the objects of the catalog.
//!
//! An id of the API is rarely the name of a Kubernetes object: `NVIDIA_L4_1` becomes `nvidia-l4-1`. Two ids can become one
//! name, so each id has several possible names: the plain one, if the id needs no other change than lower case and `-` for
//! `_`, and the plain one with a hash of the id. An object keeps its name as long as it is one of these (see `plan`).

use ring::digest::{SHA256, digest};

/// The longest name of an object.
const MAX_LENGTH: usize = 253;
/// The hexadecimal digits of the short and of the whole hash.
const SHORT: usize = 10;
const WHOLE: usize = 64;

/// The names that an object about `id` may have, the preferred one first. All of them are valid, and the last one belongs to no
/// other id.
pub fn names(id: &str) -> Vec<String> {
    let plain: String = id.chars().map(plain_char).collect();
    let mut names = Vec::new();
    if id.is_ascii() && is_name(&plain) && !has_other_chars(id) {
        names.push(plain.clone());
    }
    let hash = hash(id);
    names.push(hashed(&plain, &hash[..SHORT]));
    names.push(hashed(&plain, &hash[..WHOLE]));
    names
}

/// Whether `text` is a name as Kubernetes wants it: a DNS subdomain.
pub fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        bytes.iter().all(inner)
            && bytes.first().is_some_and(|b| *b != b'-')
            && bytes.last().is_some_and(|b| *b != b'-')
    };
    text.len() <= MAX_LENGTH && text.split('.').all(is_label)
}

fn plain_char(c: char) -> char {
    match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || c == '.' => c,
        _ => '-',
    }
}

/// Whether `id` has a character that the plain name loses.
fn has_other_chars(id: &str) -> bool {
    !id.chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The plain name without what a name may not have, cut, and a hash.
fn hashed(plain: &str, hash: &str) -> String {
    let labels = plain.split('.').map(|label| label.trim_matches('-'));
    let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
    let mut stem = labels.join(".");
    stem.truncate(MAX_LENGTH - 1 - hash.len());
    let stem = stem.trim_end_matches(['-', '.']);
    match stem {
        "" => format!("id-{hash}"),
        stem => format!("{stem}-{hash}"),
    }
}

fn hash(id: &str) -> String {
    let digest = digest(&SHA256, id.as_bytes());
    digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_ids_have_plain_names() {
        for (id, name) in [
            ("NVIDIA_L4_1", "nvidia-l4-1"),
            (
                "mistralai--Mistral-7B-Instruct-v0.3",
                "mistralai--mistral-7b-instruct-v0.3",
            ),
            ("microsoft--phi-4", "microsoft--phi-4"),
        ] {
            assert_eq!(names(id)[0], name);
        }
    }

    #[test]
    fn an_id_that_loses_more_has_a_hash_in_its_name() {
        for (id, stem) in [
            ("a b", "a-b"),
            ("a/b", "a-b"),
            ("-a-", "a"),
            ("a..b", "a.b"),
            ("é", "id"),
            ("", "id"),
        ] {
            let found = names(id);
            let hashed = found[0]
                .strip_prefix(stem)
                .and_then(|rest| rest.strip_prefix('-'));
            assert_eq!(hashed.unwrap().len(), SHORT, "{id}: {found:?}");
            assert_eq!(found.len(), 2, "{id}: {found:?}");
        }
        // The hash must not change with a version of the operator: the object would get another name.
        assert_eq!(names("a b")[0], "a-b-c8687a08aa");
    }

    proptest! {
        #[test]
        fn every_name_is_valid_and_the_last_one_is_unique(a in "\\PC{1,256}", b in "\\PC{1,256}") {
            for id in [&a, &b] {
                for name in names(id) {
                    prop_assert!(is_name(&name), "{id:?}: {name:?}");
                }
                prop_assert_eq!(names(id), names(id));
            }
            prop_assert_eq!(a == b, names(&a).last() == names(&b).last());
        }

        #[test]
        fn ids_of_usual_characters_are_named_too(id in "[A-Za-z0-9_.-]{1,256}") {
            for name in names(&id) {
                prop_assert!(is_name(&name), "{id:?}: {name:?}");
            }
        }
    }
}
