//! Rows as a table: lines of JSON in, the Arrow C stream interface out. Columns and their types are
//! found in the rows.

use std::fmt;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::RecordBatchIterator;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_json::ReaderBuilder;
use arrow_json::reader::infer_json_schema_from_seekable;
use arrow_schema::{ArrowError, FieldRef, Schema};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::errors;

/// As the interface calls it.
const NAME: &std::ffi::CStr = c"arrow_array_stream";

/// Rows of a batch.
const BATCH: usize = 64 * 1024;

/// The capsule that `__arrow_c_stream__` returns: who takes the stream out of it owns it, else it
/// goes with the capsule.
pub(crate) fn capsule(py: Python<'_>, lines: Vec<u8>) -> PyResult<Bound<'_, PyCapsule>> {
    let stream = py.detach(|| stream(lines)).map_err(errors::arrow)?;
    PyCapsule::new_with_value(py, stream, NAME)
}

fn stream(lines: Vec<u8>) -> Result<FFI_ArrowArrayStream, ArrowError> {
    let order = first_keys(&lines);
    let mut lines = Cursor::new(lines);
    let (schema, _) = infer_json_schema_from_seekable(&mut lines, None)?;
    let schema = Arc::new(ordered(schema, &order));
    let reader = ReaderBuilder::new(Arc::clone(&schema))
        .with_batch_size(BATCH)
        .build(lines)?;
    // All of them now: an error is the caller's, and no half table.
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    let batches = RecordBatchIterator::new(batches.into_iter().map(Ok), schema);
    Ok(FFI_ArrowArrayStream::new(Box::new(batches)))
}

/// The columns in the order of the first row; those that it lacks behind them.
fn ordered(schema: Schema, order: &[String]) -> Schema {
    let mut fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
    fields.sort_by_key(|field| {
        let place = order.iter().position(|name| name == field.name());
        place.unwrap_or(order.len())
    });
    Schema::new(fields)
}

/// The names in the first row, in its order.
fn first_keys(lines: &[u8]) -> Vec<String> {
    let first = lines
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    serde_json::from_slice(first).map_or_else(|_| Vec::new(), |Keys(names)| names)
}

struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Keys;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a row")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut row: M) -> Result<Keys, M::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = row.next_entry::<String, IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Keys(names))
            }
        }
        from.deserialize_map(Names)
    }
}
