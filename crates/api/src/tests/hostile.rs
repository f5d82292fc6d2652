//! Bodies that are invalid JSON or of the wrong shape, for each kind of answer.

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    instance,
    kinds::{all_places, is_only_shown, kinds, replaced},
};
use crate::{
    answers, is_shown,
    types::{MAX_WORKERS, WorkerStatus},
};

#[test]
fn a_body_cut_at_any_byte_is_no_answer() {
    for kind in kinds() {
        let body = kind.good.to_string();
        assert!((kind.parse)(body.as_bytes()).is_ok(), "{}", kind.name);
        for end in 0..body.len() {
            kind.refuses(&body.as_bytes()[..end], &format!("{end} bytes"));
        }
    }
    let error = br#"{"message":"no such model","details":[1]}"#;
    assert!(answers::message(error, &[]).is_some());
    for end in 0..error.len() {
        assert_eq!(answers::message(&error[..end], &[]), None, "{end}");
    }
}

#[test]
fn a_field_of_another_type_is_refused_unless_it_is_only_shown() {
    let others = [
        ("bool", "true"),
        ("number", "7"),
        ("string", "\"do-not-quote\""),
        ("array", "[\"do-not-quote\"]"),
        ("array", "[]"),
        ("object", "{\"do-not-quote\":1}"),
    ];
    for kind in kinds() {
        for pointer in all_places(&kind) {
            let own = match kind.good.pointer(&pointer).unwrap() {
                Value::Bool(_) => "bool",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                _ => "object",
            };
            for (_, text) in others.iter().filter(|(name, _)| *name != own) {
                let body = replaced(&kind, &pointer, text);
                if is_only_shown(&pointer) {
                    let taken = (kind.parse)(body.as_bytes());
                    assert!(
                        taken.is_ok(),
                        "{}: {text} at {pointer}: {taken:?}",
                        kind.name
                    );
                } else if kind.is_free(&pointer) {
                    let _ = (kind.parse)(body.as_bytes());
                } else {
                    kind.refuses(body.as_bytes(), &format!("{text} at {pointer}"));
                }
            }
            // The result may be a value or an error, but not a panic.
            let _ = (kind.parse)(replaced(&kind, &pointer, "null").as_bytes());
        }
    }
}

#[test]
fn numbers_that_no_number_holds_are_refused() {
    for kind in kinds() {
        for pointer in all_places(&kind) {
            let Some(number) = kind.good.pointer(&pointer).filter(|v| v.is_number()) else {
                continue;
            };
            let mut odd = vec!["1e400", "-1e400", "0x10", "NaN", "01", "1.", "--1"];
            if number.is_u64() && !kind.is_free(&pointer) && !is_only_shown(&pointer) {
                odd.extend(["-1", "1.5", "4294967296", "9223372036854775808"]);
                odd.push("99999999999999999999999999");
            }
            for text in odd {
                let body = replaced(&kind, &pointer, text);
                kind.refuses(body.as_bytes(), &format!("{text} at {pointer}"));
            }
        }
    }
}

#[test]
fn a_field_given_twice_is_refused() {
    for kind in kinds() {
        for pointer in all_places(&kind) {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let is_map = parent.ends_with("/hardware_configs");
            let parent = kind.good.pointer(parent).unwrap();
            if !parent.is_object() || kind.is_free(&pointer) || is_map {
                continue;
            }
            let value = kind.good.pointer(&pointer).unwrap();
            let twice = format!("{value},\"{key}\":{value}");
            kind.refuses(replaced(&kind, &pointer, &twice).as_bytes(), &pointer);
        }
    }
}

#[test]
fn unknown_fields_and_words_are_accepted() {
    for kind in kinds() {
        let good = (kind.parse)(kind.good.to_string().as_bytes()).unwrap();
        for pointer in std::iter::once(String::new()).chain(all_places(&kind)) {
            let mut body = kind.good.clone();
            let Some(Value::Object(entries)) = body.pointer_mut(&pointer) else {
                continue;
            };
            if kind.is_free(&format!("{pointer}/")) || pointer.ends_with("/hardware_configs") {
                continue;
            }
            entries.insert("novelty".into(), json!([{ "deep": [null, 1e300, "…"] }]));
            let seen = (kind.parse)(body.to_string().as_bytes());
            assert_eq!(seen.as_ref(), Ok(&good), "{} {pointer}", kind.name);
        }
    }
}

#[test]
fn strings_that_are_no_valid_text_are_refused_and_ids_with_invisible_characters_too() {
    for kind in kinds() {
        for pointer in all_places(&kind) {
            if !kind.good.pointer(&pointer).unwrap().is_string() || kind.is_free(&pointer) {
                continue;
            }
            for text in [r#""\ud800""#, r#""\udc00x""#, r#""\x""#, "\"\0\"", "\"\n\""] {
                let body = replaced(&kind, &pointer, text);
                kind.refuses(body.as_bytes(), &format!("{text} at {pointer}"));
            }
            let mut body = replaced(&kind, &pointer, "\"@\"").into_bytes();
            let at = body.iter().rposition(|byte| *byte == b'@').unwrap();
            body[at] = 0xff;
            kind.refuses(&body, &format!("a byte that is no UTF-8 at {pointer}"));
            // These characters are errors only in ids. A status shows them cleaned.
            for text in [r#""\u0000""#, r#""\u202e""#, r#""\u001b[31m""#] {
                let seen = (kind.parse)(replaced(&kind, &pointer, text).as_bytes());
                if pointer.ends_with("/instance_id") && kind.name != "deleted" {
                    assert!(seen.is_err(), "{} {text} at {pointer}", kind.name);
                }
            }
        }
    }
}

#[test]
fn a_value_that_is_no_object_is_refused() {
    for kind in kinds() {
        let good = kind.good.to_string();
        let mut bodies: Vec<Vec<u8>> = [
            "",
            " ",
            "null",
            "true",
            "7",
            "\"{}\"",
            "[]",
            "{}",
            "[{}]",
            "<html></html>",
            "{]",
            "{\"a\":1}}",
        ]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
        bodies.push(format!("\u{feff}{good}").into_bytes());
        bodies.push(format!("[{good}]").into_bytes());
        bodies.push(format!("{good}{good}").into_bytes());
        bodies.push(format!("{good}\0").into_bytes());
        bodies.push(good.encode_utf16().flat_map(u16::to_le_bytes).collect());
        bodies.push(b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec());
        for body in bodies {
            // All fields of this answer may be missing.
            if !(body == b"{}" && ["deleted", "ids"].contains(&kind.name)) {
                kind.refuses(&body, &String::from_utf8_lossy(&body));
            }
        }
        let roomy = format!("\r\n\t {good} \n");
        assert!((kind.parse)(roomy.as_bytes()).is_ok());
    }
}

#[test]
fn nesting_takes_no_stack() {
    let nest = || {
        for kind in kinds() {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
                let rest = &kind.good.to_string()[1..];
                let _ = (kind.parse)(format!("{{\"novelty\":{deep},{rest}").as_bytes());
                for pointer in all_places(&kind) {
                    let body = replaced(&kind, &pointer, &deep);
                    // A field that is not read may have any depth.
                    if open == "[" && pointer != "/message" && !is_only_shown(&pointer) {
                        kind.refuses(body.as_bytes(), &pointer);
                    } else {
                        let _ = (kind.parse)(body.as_bytes());
                    }
                }
                assert_eq!(
                    answers::message(format!("{{\"message\":{deep}}}").as_bytes(), &[]),
                    None
                );
            }
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(nest);
    thread.unwrap().join().unwrap();
}

#[test]
fn an_answer_to_a_start_with_an_id_that_no_stop_could_name_is_refused() {
    for id in ["delete-all", "STOP-ALL", "a/../b"] {
        let body = format!(r#"{{"instance":{}}}"#, instance(id));
        let why = answers::instance(body.as_bytes()).unwrap_err();
        assert!(!why.contains(id), "{why}");
        // Such an entry does not make the whole list invalid.
        let body = format!(r#"{{"instances":[{}]}}"#, instance(id));
        assert_eq!(answers::instances(body.as_bytes()).unwrap().len(), 1);
    }
}

#[test]
fn of_many_workers_the_first_are_kept() {
    let mut body = json!({ "instance": serde_json::from_str::<Value>(&instance("i-1")).unwrap() });
    body["instance"]["worker_statuses"] = json!(vec![json!({}); 300_000]);
    let parsed = answers::instance(body.to_string().as_bytes()).unwrap();
    assert_eq!(parsed.worker_statuses.len(), MAX_WORKERS);
    assert!(parsed.worker_statuses.capacity() <= 2 * MAX_WORKERS);
    // A value that is no worker counts as one.
    body["instance"]["worker_statuses"] = json!([[], 7, {"init_progress": "5/5"}, null]);
    let parsed = answers::instance(body.to_string().as_bytes()).unwrap();
    assert_eq!(parsed.worker_statuses, vec![WorkerStatus::default(); 4]);
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(body in vec(any::<u8>(), 0..200)) {
        for kind in kinds() {
            let _ = (kind.parse)(&body);
        }
        let _ = answers::message(&body, &["token"]);
    }

    #[test]
    fn a_damaged_body_keeps_its_promises(which in 0..8_usize, hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let kind = &kinds()[which];
        let mut body = kind.good.to_string().into_bytes();
        for (at, byte) in hits {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let _ = (kind.parse)(&body);
        if let Ok(list) = answers::instances(&body) {
            prop_assert!(list.len() <= 2);
            for instance in list {
                prop_assert!((1..=256).contains(&instance.instance_id.len()));
                prop_assert!(instance.instance_id.chars().all(|c| is_shown(&c)));
            }
        }
    }
}
