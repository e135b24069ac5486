//! `conntrack`: the kernel's and conntrack-tools' own lines, and forms of our own.

mod lines;
mod own;
mod summary;

pub use lines::{conntrack_line, expect_line, proc_line, stat_lines, stats_lines};
pub(super) use own::end;
pub use own::{
    JsonTail, csv_head, csv_row, json_entry, json_tail, table_head, table_row, table_tail,
};
pub use summary::write_summary;
