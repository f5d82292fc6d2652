//! No instance is bound: how the resource gets one.
//!
//! | file | what it decides |
//! |---|---|
//! | `unbound` | whether an instance is started |
//! | `restored` | whether an emptied status is completed from the annotation that outlived it |
//! | `pin` | with which arguments an instance is started |
//! | `adopt` | whether an existing instance is taken over instead |
//! | `resolve` | what became of a start that was written ahead |
//! | `candidates` | which instances such a start may have made |

pub(crate) mod adopt;
pub(crate) mod candidates;
pub(crate) mod pin;
pub(crate) mod resolve;
pub(crate) mod restored;
pub(crate) mod unbound;
