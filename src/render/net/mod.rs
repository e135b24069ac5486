//! `net`: as tables, and as files of /proc/net.

pub mod proc;
mod table;

pub use self::table::write_text;
