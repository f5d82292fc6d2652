//! The annotation that names a resource's own instance: any value is looked at without a panic and none is believed that
//! was not sealed for this resource, and each id that was sealed comes back.

#![no_main]

use std::sync::LazyLock;

use cortecs_rules::facts::sealed_id::{Key, is_well_formed};
use libfuzzer_sys::fuzz_target;

/// The longest id of an instance, and the longest value that may seal one, in bytes.
const MAX_ID: usize = 256;
const MAX_VALUE: usize = 3 * MAX_ID + 1 + 64;

static KEY: LazyLock<Key> = LazyLock::new(|| Key::derive("s3cret").expect("a key"));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // The value, an id, a namespace, a name and a secret.
    let mut parts = text.split('\0');
    let [value, id, namespace, name, secret] = [(); 5].map(|()| parts.next().unwrap_or_default());
    look_at(namespace, name, value);
    look_at("team", "phi", text);

    let other = Key::derive(secret).expect("each secret gives a key");
    let sealed = KEY.seal(namespace, name, id);
    assert!(sealed.is_ascii());
    if id.is_empty() || id.len() > MAX_ID {
        assert!(id.len() > MAX_ID || !is_well_formed(&sealed));
        return;
    }
    assert!(sealed.len() <= MAX_VALUE && is_well_formed(&sealed));
    assert_eq!(KEY.verify(namespace, name, &sealed).as_deref(), Some(id));
    assert_eq!(KEY.verify(&format!("{namespace}x"), name, &sealed), None);
    assert_eq!(KEY.verify(namespace, &format!("{name}x"), &sealed), None);
    assert!(secret == "s3cret" || other.verify(namespace, name, &sealed).is_none());
    // Changed anywhere, it is worth nothing; only the same id may be spelled in another way.
    for at in [0, value.len() % sealed.len(), sealed.len() - 1] {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(
            KEY.verify(namespace, name, &changed)
                .is_none_or(|found| found == id)
        );
    }
});

fn look_at(namespace: &str, name: &str, value: &str) {
    let well_formed = is_well_formed(value);
    assert!(!well_formed || value.len() <= MAX_VALUE);
    let Some(id) = KEY.verify(namespace, name, value) else {
        return;
    };
    assert!(well_formed && !id.is_empty());
    let mac = |text: &str| text.rsplit_once('.').map(|(_, m)| m.to_ascii_lowercase());
    assert_eq!(mac(&KEY.seal(namespace, name, &id)), mac(value));
}
