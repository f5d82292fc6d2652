//! An instance is bound: what it needs.
//!
//! | file | what it decides |
//! |---|---|
//! | `bound` | which of the following is due |
//! | `running` | how far the instance has come |
//! | `stop` | whether it is stopped, once more or not yet |
//! | `restart` | whether it is restarted, and what became of a restart that was written ahead |
//! | `replace` | whether it is removed, to be started anew with other arguments |
//! | `missing`, `gone` | what follows when lists lack it, and whether it is gone |
//! | `drift` | whether what others did to it is accepted, and whether a restart was asked for |
//! | `seal` | whether the annotation that names it is to be written |

pub(crate) mod bound;
pub(crate) mod drift;
pub(crate) mod gone;
pub(crate) mod missing;
pub(crate) mod replace;
pub(crate) mod restart;
pub(crate) mod running;
pub(crate) mod seal;
pub(crate) mod stop;
