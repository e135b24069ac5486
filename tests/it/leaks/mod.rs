//! The search for unreachable objects, and what it says of them.

pub(crate) mod areas;
pub(crate) mod broken;
pub(crate) mod memory;
pub(crate) mod owners;
pub(crate) mod page_kinds;
pub(crate) mod real;
pub(crate) mod synthetic;
pub(crate) mod whatis;
