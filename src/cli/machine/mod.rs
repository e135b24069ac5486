//! Commands about the machine as a whole, each as its namesake on a live one.

mod allocinfo;
pub(crate) mod args;
mod kmemleak;
mod log;
mod memcg;
mod meminfo;
mod modules;
pub(crate) mod own_args;
mod vmalloc;

pub(crate) use allocinfo::allocinfo;
pub(crate) use kmemleak::kmemleak;
pub(crate) use log::log;
pub(crate) use memcg::memcg;
pub(crate) use meminfo::meminfo;
pub(crate) use modules::modules;
pub(crate) use vmalloc::vmalloc;
