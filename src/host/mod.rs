//! The part of Regatta that lives on a machine: tmux sessions, worktrees, and the link to the control plane.

pub mod files;
pub mod git;
pub mod kept;
pub mod repo;
pub mod rescue;
pub mod tmux;
mod tmux_control;
pub mod work;
pub mod worktree;
