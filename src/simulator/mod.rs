//! The Cortecs API simulated.
