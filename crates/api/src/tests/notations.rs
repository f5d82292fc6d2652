//! One value in several notations.

use super::{
    instance,
    kinds::{all_places, kinds, replaced},
};
use crate::answers;

/// JSON has several notations of a number, and programs write numbers as text.
#[test]
fn numbers_in_other_notations_are_the_same_numbers() {
    for kind in kinds() {
        for pointer in all_places(&kind) {
            let Some(number) = kind.good.pointer(&pointer).filter(|v| v.is_number()) else {
                continue;
            };
            if kind.is_free(&pointer) {
                continue;
            }
            let good = (kind.parse)(kind.good.to_string().as_bytes());
            let fraction = if number.is_u64() { ".0" } else { "0" };
            for text in [
                format!("{number}{fraction}"),
                format!("\"{number}\""),
                format!("\"{number}{fraction}\""),
                format!("{number}e0"),
            ] {
                let body = replaced(&kind, &pointer, &text);
                assert_eq!(
                    (kind.parse)(body.as_bytes()),
                    good,
                    "{} {pointer}",
                    kind.name
                );
            }
        }
    }
}

#[test]
fn a_part_of_a_list_is_no_list_in_whatever_notation_it_says_so() {
    let list = |more: &str| {
        let body = format!("{{\"instances\":[{}],{more}}}", instance("i-1"));
        answers::instances(body.as_bytes())
    };
    for cut in [
        "\"total\":2",
        "\"total\":2.0",
        "\"total\":\"2\"",
        "\"has_more\":true",
        "\"has_more\":\"true\"",
        "\"has_more\":1",
    ] {
        assert!(list(cut).unwrap_err().contains("part of the list"), "{cut}");
    }
    for whole in [
        "\"total\":1",
        "\"total\":1.0",
        "\"total\":\"1\"",
        "\"total\":null",
        "\"has_more\":false",
        "\"has_more\":\"false\"",
        "\"has_more\":0",
        "\"total\":{}",
    ] {
        assert_eq!(list(whole).unwrap().len(), 1, "{whole}");
    }
}
