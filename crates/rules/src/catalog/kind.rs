//! What the two kinds of the catalog have in common, and whose an object is.

use cortecs_resources::{
    CortecsHardwareType, CortecsModel, annotations, hardware_type::CortecsHardwareTypeSpec,
    key::ObjectKey, model::CortecsModelSpec,
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

/// This operator, as the objects that it writes name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Us {
    /// The namespace in which it runs.
    pub operator: String,
    /// Its default account.
    pub account: ObjectKey,
}

/// Whose an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This operator's, which keeps it as the catalog says, and removes it.
    Us,
    /// Another operator's, with another account. This one leaves it alone.
    OtherOperator,
    /// Nobody's: a person made it. It is overwritten if the catalog needs its name, and else left alone.
    Nobody,
}

/// Whose the object is. An operator that has a new default account, or that has taken over the account of another one, takes over the
/// objects, too.
pub fn owner(object: &impl ResourceExt, us: &Us) -> Owner {
    if object.labels().get(MANAGED_BY).map(String::as_str) != Some(OPERATOR) {
        return Owner::Nobody;
    }
    let operator = annotations::value(object, annotations::OPERATOR);
    let account = annotations::value(object, annotations::ACCOUNT);
    let is_other = |value: Option<&str>, own: &str| value.is_some_and(|value| value != own);
    match is_other(operator, &us.operator) && is_other(account, &us.account.to_string()) {
        true => Owner::OtherOperator,
        false => Owner::Us,
    }
}

/// Whether the object bears all marks of this operator.
pub fn is_marked(object: &impl ResourceExt, us: &Us) -> bool {
    let has = |name: &str, value: &str| annotations::value(object, name) == Some(value);
    owner(object, us) == Owner::Us
        && has(annotations::OPERATOR, &us.operator)
        && has(annotations::ACCOUNT, &us.account.to_string())
}

/// Marks the object as this operator's.
pub fn mark(object: &mut impl ResourceExt, us: &Us) {
    let labels = object.labels_mut();
    labels.insert(MANAGED_BY.to_owned(), OPERATOR.to_owned());
    let annotations = object.annotations_mut();
    annotations.insert(annotations::OPERATOR.to_owned(), us.operator.clone());
    annotations.insert(annotations::ACCOUNT.to_owned(), us.account.to_string());
}
