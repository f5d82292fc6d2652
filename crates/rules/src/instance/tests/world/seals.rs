//! The annotation with the id of an instance, and what it is worth.

use cortecs_resources::annotations;
use kube::ResourceExt;

use crate::{facts::sealed_id::Key, instance::tests::*};

/// The key of every seal.
pub(super) fn key_of_seals() -> Key {
    Key::derive("secret").unwrap()
}

/// What the annotation is worth.
pub(in crate::instance::tests) fn sealed_id_of(resource: &CortecsInstance) -> SealedId {
    let value = resource.annotations().get(annotations::INSTANCE_ID);
    let id = value.and_then(|v| key_of_seals().verify("ns", &resource.name_any(), v));
    id.map_or(SealedId::None, SealedId::Proven)
}

/// As if what is bound were sealed.
pub(super) fn sealed_id_as_bound(resource: &CortecsInstance) -> SealedId {
    let id = resource.status.as_ref().and_then(|s| s.instance_id.clone());
    id.map_or(SealedId::None, SealedId::Proven)
}
