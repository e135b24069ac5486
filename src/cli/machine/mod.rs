//! Commands about the machine as a whole, each as its namesake on a live one.

pub(crate) mod args;
mod log;
mod meminfo;
mod modules;
mod vmalloc;

pub(crate) use log::log;
pub(crate) use meminfo::meminfo;
pub(crate) use modules::modules;
pub(crate) use vmalloc::vmalloc;
