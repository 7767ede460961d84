//! host

pub mod shim_client;
