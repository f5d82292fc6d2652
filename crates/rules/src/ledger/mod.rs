//! Which resource claims which instance, and which starts are open. Each file imports only files above it.
//!
//! | file | what it has |
//! |---|---|
//! | [`versions`] | which of two versions of a resource is the newer one |
//! | [`entry`] | one resource, and what this process remembers of it |
//! | `index` | the resources by what they claim, and those with an open start |
//! | `ended` | starts that came to an end, and whose instances may still appear |
//! | `given_up` | the starts that this process has made and given up |
//! | `let_go` | instances that resources have had |
//! | [`open_start`] | a start of another resource that is open |
//! | [`book`] | all resources with their claims |
//! | [`readable`] | what the book takes of resources that cannot be decoded as a whole |
//! | `claims` | part of the book: which resource claims which instance |
//! | [`billed`] | what a client id is billed for, or may be before long |
//! | [`unlisted`] | whether lists lack instances that the API finds |
//! | [`late`] | instances that are probably the late outcome of a start that was given up |

pub mod billed;
pub mod book;
mod claims;
mod ended;
pub mod entry;
mod given_up;
mod index;
pub mod late;
mod let_go;
pub mod open_start;
pub mod readable;
pub mod unlisted;
pub mod versions;
