//! `sockets`: as tables, as csv, as ss prints them, and as the files of /proc/net.

mod counters;
pub mod proc;
pub mod ss;
mod table;

pub use self::table::{write_csv, write_text};
