//! The HTTP edge.

pub mod hosts;
pub mod links;
