//! Kubernetes loses objects or parts of them. Nothing is paid twice because of that, and accounts show the instances that become
//! unmanaged.

mod annotation;
mod claimed;
mod earlier;
mod namespace;
mod status;
