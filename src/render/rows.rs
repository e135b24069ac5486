//! Rows for programs, csv and jsonl: each says first which dump it is of, so that rows of many
//! dumps can lie in one table.

use std::io::{self, Write};

use serde::Serialize;

use super::printable;
use crate::report::DumpIdentity;

/// What each row starts with.
const NAMES: [&str; 4] = ["dump_id", "host", "release", "crash_time"];

pub(super) fn values(dump: &DumpIdentity) -> [Option<&str>; 4] {
    [
        Some(&dump.id),
        dump.host.as_deref(),
        dump.release.as_deref(),
        dump.crash_time.as_deref(),
    ]
}

/// Rows of one csv table.
pub(super) struct Csv<W: Write> {
    writer: csv::Writer<W>,
    /// What the next row starts with.
    lead: [String; 4],
    values: [String; 4],
}

impl<W: Write> Csv<W> {
    /// A table, of which the first record has the names of the columns.
    pub(super) fn new(out: W, dump: &DumpIdentity) -> Self {
        Self {
            lead: NAMES.map(str::to_owned),
            ..Self::continued(out, dump)
        }
    }

    /// Rows of a table whose columns stand already.
    pub(super) fn continued(out: W, dump: &DumpIdentity) -> Self {
        let values = values(dump).map(|value| printable(value.unwrap_or_default()));
        Self {
            writer: csv::Writer::from_writer(out),
            lead: values.clone(),
            values,
        }
    }

    /// A row, less what says which dump it is of.
    pub(super) fn write_record<C: AsRef<[u8]>>(
        &mut self,
        row: impl IntoIterator<Item = C>,
    ) -> io::Result<()> {
        for value in &self.lead {
            self.writer.write_field(value)?;
        }
        self.writer.write_record(row)?;
        self.lead.clone_from(&self.values);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Items as JSON, one a line.
#[derive(Debug)]
pub struct JsonLines {
    /// All of a row that says which dump it is of, up to the comma.
    lead: Vec<u8>,
}

impl JsonLines {
    /// Of this dump.
    ///
    /// # Errors
    /// Never: it is written to memory.
    pub fn new(dump: &DumpIdentity) -> io::Result<Self> {
        let mut lead = b"{".to_vec();
        for (name, value) in NAMES.into_iter().zip(values(dump)) {
            serde_json::to_writer(&mut lead, name)?;
            lead.push(b':');
            serde_json::to_writer(&mut lead, &value)?;
            lead.push(b',');
        }
        Ok(Self { lead })
    }

    /// One line: `item` is an object.
    ///
    /// # Errors
    /// If writing fails.
    pub fn write<T: Serialize>(&self, out: &mut dyn Write, item: &T) -> io::Result<()> {
        let line = serde_json::to_vec(item)?;
        out.write_all(&self.lead)?;
        // Behind its brace.
        out.write_all(line.get(1..).unwrap_or_default())?;
        out.write_all(b"\n")
    }
}
