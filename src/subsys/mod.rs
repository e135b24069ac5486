//! One module per kernel subsystem, each `collect → facts`.
//!
//! Layer: above `kernel`. Facts are plain data that a document can hold; nothing here
//! judges or prints.

pub mod allocinfo;
pub mod clock;
pub mod conntrack;
pub mod counters;
pub mod kmemleak;
pub mod large_kmalloc;
pub mod local_ports;
pub mod log;
pub mod memcg;
pub mod meminfo;
pub mod modules;
pub mod page_owner;
pub mod reach;
pub mod slab;
pub mod sysctl;
pub mod system;
pub mod vmalloc;
