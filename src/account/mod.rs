//! The CortecsAccount controller and its fleet.
