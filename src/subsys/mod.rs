//! What the kernel's own parts hold, each `collect → facts`: `mm`, `net` and the rest.
//!
//! Layer: above `kernel`. Facts are plain data that a document can hold; nothing here
//! judges or prints.

pub mod bpf;
pub mod clock;
pub mod counters;
pub mod fs;
pub mod log;
pub mod mm;
pub mod modules;
pub mod net;
pub mod owners;
pub mod rcu;
pub mod sysctl;
pub mod system;
pub mod task;
