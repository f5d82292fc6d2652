//! A spec and a model of the catalog, as JSON: pinned to what can be recorded, or refused.

#![no_main]

use cortecs_api::types::Model;
use cortecs_resources::instance::CortecsInstanceSpec;
use cortecs_rules::facts::{args, defaults};
use libfuzzer_sys::fuzz_target;

#[derive(serde::Deserialize)]
struct Case {
    spec: CortecsInstanceSpec,
    model: Option<Model>,
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let once = args::normalise_model_id(text);
        assert_eq!(args::normalise_model_id(&once), once);
    }
    let Ok(case) = serde_json::from_slice::<Case>(data) else {
        return;
    };
    let stated = args::stated(&case.spec);
    match defaults::pin(&case.spec, case.model.as_ref()) {
        Ok(pinned) => {
            assert!(args::fits(&args::recorded(&pinned)));
            assert!(args::matches(&pinned, &pinned));
            let _ = args::is_outdated(&case.spec, &stated, &pinned);
            let _ = args::satisfies(&case.spec, &pinned, &pinned);
        }
        Err(message) => assert!(!message.is_empty()),
    }
});
