//! What the two kinds of the catalog have in common, and whose an object is.

use cortecs_resources::{
    CortecsHardwareType, CortecsModel, annotations, hardware_type::CortecsHardwareTypeSpec,
    model::CortecsModelSpec,
};
use kube::{ResourceExt, core::object::HasSpec};

/// The label of every object that the operator has written, and its value.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const OPERATOR: &str = "cortecs-operator";

/// A kind of the catalog.
pub trait CatalogKind: HasSpec<Spec: Clone + PartialEq> + ResourceExt + Clone {
    /// A new object.
    fn build(name: &str, spec: Self::Spec) -> Self;

    /// The API's id of what the object is about.
    fn id(spec: &Self::Spec) -> &str;
}

impl CatalogKind for CortecsModel {
    fn build(name: &str, spec: CortecsModelSpec) -> Self {
        Self::new(name, spec)
    }

    fn id(spec: &CortecsModelSpec) -> &str {
        &spec.id
    }
}

impl CatalogKind for CortecsHardwareType {
    fn build(name: &str, spec: CortecsHardwareTypeSpec) -> Self {
        Self::new(name, spec)
    }

    fn id(spec: &CortecsHardwareTypeSpec) -> &str {
        &spec.id
    }
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This operator's, which keeps it as the catalog says, and removes it.
    Us,
    /// Another operator's. This one leaves it alone.
    OtherOperator,
    /// Nobody's: a person made it. It is overwritten if the catalog needs its name, and else left alone.
    Nobody,
}

/// Whose the object is, for the operator in the namespace `us`.
pub fn owner(object: &impl ResourceExt, us: &str) -> Owner {
    if object.labels().get(MANAGED_BY).map(String::as_str) != Some(OPERATOR) {
        return Owner::Nobody;
    }
    match annotations::value(object, annotations::OPERATOR) {
        Some(namespace) if namespace != us => Owner::OtherOperator,
        _ => Owner::Us,
    }
}

/// Whether the object bears all marks of this operator.
pub fn is_marked(object: &impl ResourceExt, us: &str) -> bool {
    owner(object, us) == Owner::Us
        && annotations::value(object, annotations::OPERATOR).is_some()
        && object.meta().deletion_timestamp.is_none()
}

/// Marks the object as this operator's.
pub fn mark(object: &mut impl ResourceExt, us: &str) {
    let labels = object.labels_mut();
    labels.insert(MANAGED_BY.to_owned(), OPERATOR.to_owned());
    let annotations = object.annotations_mut();
    annotations.insert(annotations::OPERATOR.to_owned(), us.to_owned());
}
