//! Models and hardware types.
