//! Rows as Apache Parquet: a row group a batch, each column in turn, so that no more than one
//! column of a batch is held besides its rows.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::super::rows;
use super::column::{ColumnSchema, Get, Kind, LEAD, Table, TableSchema};
use crate::report::DumpIdentity;

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

pub(super) struct Sink<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    lead: [Option<String>; LEAD.len()],
}

impl<W: Write + Send> Sink<W> {
    pub(super) fn new(out: W, schema: &TableSchema, dump: &DumpIdentity) -> io::Result<Self> {
        let by = format!(
            "{} version {}",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION")
        );
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(by);
        let writer = SerializedFileWriter::new(
            out,
            message(schema).map_err(failed)?,
            Arc::new(properties.build()),
        );
        Ok(Self {
            writer: writer.map_err(failed)?,
            lead: rows::values(dump).map(|value| value.map(str::to_owned)),
        })
    }

    pub(super) fn write<R>(&mut self, table: &Table<R>, rows: &[R]) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for (column, value) in LEAD.iter().zip(&self.lead) {
            match column.kind {
                Kind::Time => {
                    let time = value.as_deref().and_then(microseconds);
                    column_of::<Int64Type>(&mut group, rows.iter().map(|_| time))
                }
                _ => {
                    let text = value.as_deref().map(ByteArray::from);
                    column_of::<ByteArrayType>(&mut group, rows.iter().map(|_| text.clone()))
                }
            }
            .map_err(failed)?;
        }
        for column in table.columns {
            let rows = rows.iter();
            match column.get {
                Get::Text(get) => column_of::<ByteArrayType>(
                    &mut group,
                    rows.map(|row| get(row).map(|text| ByteArray::from(text.as_ref()))),
                ),
                // Its bits; the schema says that they have no sign.
                Get::Unsigned(get) => column_of::<Int64Type>(
                    &mut group,
                    rows.map(|row| get(row).map(u64::cast_signed)),
                ),
                Get::Signed(get) => column_of::<Int64Type>(&mut group, rows.map(get)),
                Get::Real(get) => column_of::<DoubleType>(&mut group, rows.map(get)),
                Get::Flag(get) => column_of::<BoolType>(&mut group, rows.map(get)),
                Get::Time(get) => column_of::<Int64Type>(
                    &mut group,
                    rows.map(|row| get(row).and_then(microseconds)),
                ),
            }
            .map_err(failed)?;
        }
        group.close().map(drop).map_err(failed)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        let mut out = self.writer.into_inner().map_err(failed)?;
        out.flush()
    }
}

/// Writes the next column of a row group.
fn column_of<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, impl Write + Send>,
    all: impl Iterator<Item = Option<T::T>>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General(
            "more columns than the schema has".into(),
        ));
    };
    let mut levels = Vec::with_capacity(all.size_hint().0);
    let values: Vec<T::T> = all
        .inspect(|value| levels.push(i16::from(value.is_some())))
        .flatten()
        .collect();
    column
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)?;
    column.close()
}

fn microseconds(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_microsecond())
}

fn message(schema: &TableSchema) -> Result<TypePtr, ParquetError> {
    let fields: Result<Vec<TypePtr>, _> = schema.columns.iter().map(field).collect();
    let built = Type::group_type_builder(schema.name).with_fields(fields?);
    built.build().map(Arc::new)
}

fn field(column: &ColumnSchema) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match column.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Unsigned => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Kind::Signed => (Physical::INT64, Some(LogicalType::integer(64, true))),
        Kind::Real => (Physical::DOUBLE, None),
        Kind::Flag => (Physical::BOOLEAN, None),
        Kind::Time => {
            let unit = LogicalType::timestamp(true, TimeUnit::MICROS);
            (Physical::INT64, Some(unit))
        }
    };
    Type::primitive_type_builder(column.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
        .map(Arc::new)
}
