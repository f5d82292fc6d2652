//! The CortecsInstance controller.
