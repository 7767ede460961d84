//! Every decision as a pure function: values in, values out, the time passed in. No I/O of any kind.

pub mod agent;
pub mod claims;
pub mod desired;
pub mod effective;
pub mod leader;
pub mod news;
pub mod placement;
pub mod source;
pub mod status;
pub mod unsupported;
pub mod webhook;
