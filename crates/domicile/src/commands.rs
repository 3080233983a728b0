//! One file per command.

pub(crate) mod locate;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod residence;
pub(crate) mod status;
pub(crate) mod verify;
