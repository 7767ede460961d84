//! What reconcilers are made of, the global ones and the one of each linked host alike: mirrors of kinds, queues of keys,
//! the few kinds of write, and Events. Decides nothing, and knows nothing of who reconciles what.

pub mod events;
pub mod queue;
pub mod watched;
pub mod write;
