//! The CortecsInstance controller.

pub mod act;
pub mod args;
pub mod call;
pub mod claim;
pub mod context;
pub mod controller;
pub mod decide;
pub mod events;
pub mod gauges;
pub mod gone;
pub mod history;
pub mod memory;
pub mod moment;
pub mod observe;
pub mod record;
pub mod status;
pub mod wakes;
pub mod write;
