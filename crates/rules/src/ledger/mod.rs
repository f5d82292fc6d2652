//! Which resource claims which instance, and which starts are open.
//!
//! | file | what it has |
//! |---|---|
//! | [`book`] | all resources with their claims |
//! | [`open_start`] | a start of another resource that is open |
//! | [`late`] | instances that are probably the late outcome of a start that was given up |

pub mod book;
pub mod late;
pub mod open_start;
