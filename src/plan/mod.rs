//! Every decision as a pure function: values in, values out, the time passed in. No I/O of any kind.

pub mod agent;
