//! Lists that lack a part of what there is, and say so.

use serde_json::{Value, json};

use crate::api::Answer;

/// The answer with every other entry of its lists, and the number of all of them. Other answers stay as they are.
pub(super) fn cut(mut answer: Answer) -> Answer {
    let Value::Object(fields) = &mut answer.body else {
        return answer;
    };
    let mut total = 0;
    for value in fields.values_mut() {
        if let Value::Array(entries) = value {
            total += entries.len();
            let mut n = 0;
            entries.retain(|_| {
                n += 1;
                n % 2 == 0
            });
        }
    }
    if total > 0 {
        fields.insert("total".to_owned(), json!(total));
        fields.insert("has_more".to_owned(), json!(true));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_list_says_how_much_there_is() {
        let whole = Answer::new(200, json!({ "instances": ["a", "b", "c"] }));
        let expected = json!({ "instances": ["b"], "total": 3, "has_more": true });
        assert_eq!(cut(whole).body, expected);
        let other = json!({ "message": "no list" });
        assert_eq!(cut(Answer::new(200, other.clone())).body, other);
    }
}
