//! No instance is bound: how the resource gets one. Each file imports only files above it.
//!
//! | file | what it decides |
//! |---|---|
//! | `adopt` | whether an existing instance is taken over instead of starting one |
//! | `others` | what the open starts of other resources hold up, and what they may have made |
//! | `unbound` | whether an instance is started |
//! | `restored` | whether an emptied status is completed from the annotation that outlived it |
//! | `candidates` | which instances an open start may have made |
//! | `ask` | what a person is asked about an open start, and what the person answers |
//! | `void` | whether an open start is given up |
//! | `confirm` | whether a candidate is bound |
//! | `unknown` | what became of an open start whose outcome is not known |
//! | `resolve` | what is due for a start that was written ahead: its call, its record or its outcome |

pub(crate) mod adopt;
pub(crate) mod ask;
pub(crate) mod candidates;
pub(crate) mod confirm;
pub(crate) mod others;
pub(crate) mod resolve;
pub(crate) mod restored;
pub(crate) mod unbound;
pub(crate) mod unknown;
pub(crate) mod void;
