//! The instances that a start knows: they were there before it, or are another resource's for good. Pure.
//!
//! The record of a start has a digest of each, so that what it takes in a status does not depend on the length of ids. An
//! instance that a resource claims is not listed: the claim says enough, however many there are.

use cortecs_resources::journal::{StartIntent, VoidedStart};
use ring::digest::{Context, SHA256};
use uuid::Uuid;

/// The length of a digest in bytes: of 512 instances, one in 500 billion is taken for a known one.
const BYTES: usize = 6;

/// The digest of an instance for the start with this id: the first 12 hexadecimal digits of SHA-256 over both.
pub fn digest(start: Uuid, instance_id: &str) -> String {
    let mut context = Context::new(&SHA256);
    context.update(start.as_bytes());
    context.update(instance_id.as_bytes());
    let digest = context.finish();
    let bytes = digest.as_ref().iter().take(BYTES);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// Whether an open start knows the instance.
pub fn is_known_to(intent: &StartIntent, instance_id: &str) -> bool {
    is_among(intent.id, &intent.known_instances, instance_id)
}

/// Whether a start that was given up knows the instance.
pub fn is_known_to_voided(start: &VoidedStart, instance_id: &str) -> bool {
    is_among(start.id, &start.known_instances, instance_id)
}

fn is_among(start: Uuid, known: &[String], instance_id: &str) -> bool {
    !known.is_empty() && known.contains(&digest(start, instance_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_one_start_and_one_instance() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        // It is stored: the form stays as it is.
        assert_eq!(digest(a, "i-1"), "e42bf3c847f8");
        assert_ne!(digest(a, "i-1"), digest(a, "i-2"));
        assert_ne!(digest(a, "i-1"), digest(b, "i-1"));
    }
}
