//! What can be opened and how: forms of dumps, sources of types, wrong files.

pub(crate) mod bad_input;
pub(crate) mod corpora;
pub(crate) mod debug_files;
pub(crate) mod files;
pub(crate) mod forms;
pub(crate) mod given;
pub(crate) mod identity;
pub(crate) mod images;
pub(crate) mod matrix;
pub(crate) mod missing_parts;
pub(crate) mod no_vmlinux;
pub(crate) mod profiles;
