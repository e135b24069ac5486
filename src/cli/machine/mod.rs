//! Commands about the machine as a whole, each as its namesake on a live one.

pub(crate) mod allocinfo;
pub(crate) mod args;
pub(crate) mod bpf;
pub(crate) mod dentries;
pub(crate) mod files;
pub(crate) mod kmemleak;
pub(crate) mod log;
pub(crate) mod memcg;
pub(crate) mod meminfo;
pub(crate) mod modules;
pub(crate) mod own_args;
pub(crate) mod pages;
pub(crate) mod ps;
pub(crate) mod vmalloc;
pub(crate) mod zones;

pub(crate) use allocinfo::allocinfo;
pub(crate) use bpf::bpf;
pub(crate) use dentries::dentries;
pub(crate) use files::files;
pub(crate) use kmemleak::kmemleak;
pub(crate) use log::log;
pub(crate) use memcg::memcg;
pub(crate) use meminfo::meminfo;
pub(crate) use modules::modules;
pub(crate) use pages::pages;
pub(crate) use ps::ps;
pub(crate) use vmalloc::vmalloc;
pub(crate) use zones::zones;
