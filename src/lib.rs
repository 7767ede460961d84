//! Regatta's library. A module may use only those above it in this list; ARCHITECTURE.md says what each must not know.

pub mod adapter;
pub mod api;
pub mod apiserver;
pub mod cli;
pub mod controller;
pub mod db;
pub mod gateway;
pub mod host;
pub mod link;
pub mod plan;
pub mod run;
pub mod shim;
pub mod wire;
