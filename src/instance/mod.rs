//! The controller of instances.

pub mod act;
pub mod call;
pub mod context;
pub mod controller;
pub mod gauges;
pub mod history;
pub mod observe;
pub mod quorum;
pub mod removed;
pub mod restore_watch;
pub mod shared_book;
pub mod wakes;
pub mod write;
