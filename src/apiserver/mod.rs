//! apiserver
pub mod apply;
pub mod openapi;
pub mod schema;
