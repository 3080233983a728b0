//! One file per command.

pub(crate) mod completions;
pub(crate) mod erasure;
pub(crate) mod hold;
pub(crate) mod init;
pub(crate) mod locate;
pub(crate) mod man;
pub(crate) mod migrate;
pub(crate) mod move_one;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod residence;
pub(crate) mod route;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod verify;
