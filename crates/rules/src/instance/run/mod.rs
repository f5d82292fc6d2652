//! An instance is bound: what it needs. Each file imports only files above it.
//!
//! | file | what it decides |
//! |---|---|
//! | `drift` | whether what others did to it is accepted, and whether a restart was asked for |
//! | `gone` | whether it is gone |
//! | `stop` | whether it is stopped or deleted, once more or not yet |
//! | `progress` | for how long it has not been usable |
//! | `odd` | what is shown of a state that this version does not know |
//! | `running` | how far the instance has come |
//! | `restart` | whether it is restarted, and what became of a restart that was written ahead |
//! | `replace` | whether it is removed, to be started anew with other arguments |
//! | `missing` | what follows when lists lack it |
//! | `bound` | which of these is due |
//! | `seal` | whether the annotation that names it is to be written |

pub(crate) mod bound;
pub(crate) mod drift;
pub(crate) mod gone;
pub(crate) mod missing;
pub(crate) mod odd;
pub(crate) mod progress;
pub(crate) mod replace;
pub(crate) mod restart;
pub(crate) mod running;
pub(crate) mod seal;
pub(crate) mod stop;
