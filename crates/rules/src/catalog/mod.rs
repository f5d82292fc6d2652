//! The catalog of the API as Kubernetes objects: what they say, how they are named, and which writes make them so.
//!
//! | file | what it has |
//! |---|---|
//! | [`name`] | the name of an object, made from an id of the API |
//! | [`spec`] | what an object says, made from the answers of the API |
//! | [`kind`] | what the two kinds have in common, and whose an object is |
//! | [`listing`] | a list of the API as the objects follow it, and whether it may remove objects |
//! | [`plan`] | the writes that make the objects follow a list |
//! | [`details`] | which model the API is asked about next |

pub mod details;
pub mod kind;
pub mod listing;
pub mod name;
pub mod plan;
pub mod spec;
