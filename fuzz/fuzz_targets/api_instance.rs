//! Every other answer. None may panic, quote the body, or name what can be no id.

#![no_main]

use std::time::Duration;

use cortecs_api::answers;
use libfuzzer_sys::fuzz_target;

fn check<T>(answer: Result<T, String>) -> Option<T> {
    match answer {
        Ok(value) => Some(value),
        Err(why) => {
            assert!(why.is_ascii() && why.len() < 100, "{why}");
            None
        }
    }
}

fuzz_target!(|body: &[u8]| {
    if let Some(instance) = check(answers::instance(body)) {
        assert!((1..=256).contains(&instance.instance_id.len()));
        assert!(instance.worker_statuses.len() <= 64);
    }
    check(answers::deleted(body));
    for id in check(answers::instance_ids(body)).unwrap_or_default() {
        assert!((1..=256).contains(&id.len()));
    }
    check(answers::balance(body));
    if let Some(grant) = check(answers::token(body)) {
        assert!(!grant.access_token.is_empty());
        assert!(grant.access_token.bytes().all(|b| b.is_ascii_graphic()));
        assert!(grant.lifetime <= Duration::from_secs(24 * 3600));
    }
    check(answers::models(body));
    if let Some(model) = check(answers::model(body)) {
        let configs = model.hardware_configs.unwrap_or_default();
        for (id, config) in configs {
            assert!((1..=256).contains(&id.len()));
            let _ = config.max_context_length();
        }
    }
    check(answers::hardware_types(body));
});
