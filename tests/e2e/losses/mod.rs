//! What is lost on the Kubernetes side: nothing is paid twice for it, and what nobody has any more is reported.

mod annotation;
mod claimed;
mod earlier;
mod namespace;
mod status;
