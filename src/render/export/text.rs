//! Rows as JSON Lines and as CSV.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::super::printable;
use super::super::rows::{self, JsonLines};
use super::column::{Get, Table, TableSchema};
use crate::report::DumpIdentity;

/// A row with the names of its columns.
struct Named<'a, R: 'static>(&'a Table<R>, &'a R);

impl<R> Serialize for Named<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(table, row) = self;
        let mut map = serializer.serialize_map(Some(table.columns.len()))?;
        for column in table.columns {
            match column.get {
                Get::Text(get) => map.serialize_entry(column.name, &get(row))?,
                Get::Unsigned(get) => map.serialize_entry(column.name, &get(row))?,
                Get::Signed(get) => map.serialize_entry(column.name, &get(row))?,
                Get::Real(get) => map.serialize_entry(column.name, &get(row))?,
                Get::Flag(get) => map.serialize_entry(column.name, &get(row))?,
                Get::Time(get) => map.serialize_entry(column.name, &get(row))?,
            }
        }
        map.end()
    }
}

pub(super) struct Jsonl<W: Write> {
    out: W,
    lines: JsonLines,
}

impl<W: Write> Jsonl<W> {
    pub(super) fn new(out: W, dump: &DumpIdentity) -> io::Result<Self> {
        let lines = JsonLines::new(dump)?;
        Ok(Self { out, lines })
    }

    pub(super) fn write<R>(&mut self, table: &Table<R>, rows: &[R]) -> io::Result<()> {
        let mut rows = rows.iter();
        rows.try_for_each(|row| self.lines.write(&mut self.out, &Named(table, row)))
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

pub(super) struct Csv<W: Write> {
    rows: rows::Csv<W>,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(out: W, schema: &TableSchema, dump: &DumpIdentity) -> io::Result<Self> {
        let mut rows = rows::Csv::new(out, dump);
        let own = schema.columns.iter().skip(super::column::LEAD.len());
        rows.write_record(own.map(|column| column.name))?;
        Ok(Self { rows })
    }

    pub(super) fn write<R>(&mut self, table: &Table<R>, rows: &[R]) -> io::Result<()> {
        fn of<T: ToString>(value: Option<T>) -> String {
            value.map_or(String::new(), |value| value.to_string())
        }
        for row in rows {
            self.rows
                .write_record(table.columns.iter().map(|column| match column.get {
                    Get::Text(get) => get(row).map_or(String::new(), |text| printable(&text)),
                    Get::Unsigned(get) => of(get(row)),
                    Get::Signed(get) => of(get(row)),
                    Get::Real(get) => of(get(row)),
                    Get::Flag(get) => of(get(row)),
                    Get::Time(get) => of(get(row)),
                }))?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.rows.flush()
    }
}
