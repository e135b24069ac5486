//! `net`: as tables, and as files of /proc/net.

mod pools;
pub mod proc;
mod table;

pub use self::table::write_text;
