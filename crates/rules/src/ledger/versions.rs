//! Which of two versions of a resource is the newer one.

use std::cmp::Ordering;

use cortecs_resources::CortecsInstance;

/// Compares the resource versions of two objects.
pub(super) fn compare_versions(a: &CortecsInstance, b: &CortecsInstance) -> Ordering {
    let version = |r: &CortecsInstance| r.metadata.resource_version.clone().unwrap_or_default();
    compare_decimal(&version(a), &version(b))
}

/// Whether resource version `a` is older than `b`.
pub fn is_older(a: &str, b: &str) -> bool {
    compare_decimal(a, b) == Ordering::Less
}

/// Compares resource versions as the decimal numbers that they are (KEP-5504), without a bound on their length.
pub(super) fn compare_decimal(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
