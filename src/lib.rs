//! Regatta's library. A module may use only those above it in this list; ARCHITECTURE.md says what each must not know.

pub mod wire;
pub mod api;
pub mod plan;
pub mod adapter;
pub mod apiserver;
pub mod db;
pub mod link;
pub mod reconcile;
pub mod controller;
pub mod gateway;
pub mod host;
pub mod shim;
pub mod run;
pub mod cli;
