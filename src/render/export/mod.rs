//! `export`: everything as rows, a file per table.
//!
//! Layer: render. Input: rows of one [`Table`], a batch at a time. Output: a file of Parquet, JSON
//! Lines or CSV. Invariants: names and types of columns stay; each row says first which dump it is
//! of; no more than [`BATCH`] rows are held.

mod column;
mod parquet;
mod read;
mod schema;
pub mod tables;
mod text;

use std::io::{self, Write};

use crate::report::DumpIdentity;

pub use column::{Column, ColumnSchema, Kind, Table, TableSchema};
pub use read::read_parquet;
pub use schema::{arrow_schema, json_schema};

/// So many rows are written at once: a row group of Parquet.
pub const BATCH: usize = 1 << 16;

/// Form of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Apache Parquet, pages packed by snappy.
    Parquet,
    /// A JSON object a line.
    Jsonl,
    /// RFC 4180, with a head.
    Csv,
}

impl Form {
    /// Of the file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Form::Parquet => "parquet",
            Form::Jsonl => "jsonl",
            Form::Csv => "csv",
        }
    }
}

enum Sink<W: Write + Send> {
    Parquet(Box<parquet::Sink<W>>),
    Jsonl(text::Jsonl<W>),
    Csv(Box<text::Csv<W>>),
}

/// Writes one table.
pub struct TableWriter<R: 'static, W: Write + Send> {
    table: &'static Table<R>,
    pending: Vec<R>,
    sink: Sink<W>,
    rows: u64,
}

impl<R: 'static, W: Write + Send> std::fmt::Debug for TableWriter<R, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows of {}", self.rows, self.table.name)
    }
}

impl<R: 'static, W: Write + Send> TableWriter<R, W> {
    /// Begins the file.
    ///
    /// # Errors
    /// If writing fails.
    pub fn new(
        table: &'static Table<R>,
        form: Form,
        dump: &DumpIdentity,
        out: W,
    ) -> io::Result<Self> {
        let schema = table.schema();
        let sink = match form {
            Form::Parquet => Sink::Parquet(Box::new(parquet::Sink::new(out, &schema, dump)?)),
            Form::Jsonl => Sink::Jsonl(text::Jsonl::new(out, dump)?),
            Form::Csv => Sink::Csv(Box::new(text::Csv::new(out, &schema, dump)?)),
        };
        Ok(Self {
            table,
            pending: Vec::new(),
            sink,
            rows: 0,
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// If writing fails.
    pub fn add(&mut self, rows: impl IntoIterator<Item = R>) -> io::Result<()> {
        for row in rows {
            self.pending.push(row);
            if self.pending.len() >= BATCH {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.pending);
        self.rows += rows.len() as u64;
        match &mut self.sink {
            Sink::Parquet(sink) => sink.write(self.table, &rows),
            Sink::Jsonl(sink) => sink.write(self.table, &rows),
            Sink::Csv(sink) => sink.write(self.table, &rows),
        }
    }

    /// Ends the file and says how many rows there are.
    ///
    /// # Errors
    /// If writing fails.
    pub fn finish(mut self) -> io::Result<u64> {
        if !self.pending.is_empty() {
            self.flush()?;
        }
        match self.sink {
            Sink::Parquet(sink) => sink.finish()?,
            Sink::Jsonl(sink) => sink.finish()?,
            Sink::Csv(sink) => sink.finish()?,
        }
        Ok(self.rows)
    }
}
