//! Objects as the API server may have them: decoded whole or in part, and a list never fails for one of them.

#![no_main]

use cortecs_resources::{
    CortecsAccount, CortecsInstance,
    decode::{Salvage, decode},
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn check<K: Salvage>(value: &Value) {
    let whole = serde_json::from_value::<K>(value.clone()).is_ok();
    match decode::<K>(value.clone()) {
        Ok(decoded) => {
            assert_eq!(decoded.problem.is_none(), whole);
            if let Some(problem) = &decoded.problem {
                let said = problem.to_string();
                assert!(said.chars().count() < 600 && !said.contains(char::is_control));
            }
            // The metadata is never lost.
            let name = value.pointer("/metadata/name").and_then(Value::as_str);
            assert!(name.is_none() || decoded.object.meta().name.as_deref() == name);
        }
        Err(problem) => assert!(!whole && !problem.why.is_empty()),
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        check::<CortecsInstance>(&value);
        check::<CortecsAccount>(&value);
    }
});
