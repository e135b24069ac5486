//! Rows of Parquet back as the objects that JSON Lines have, for `diff`.

use std::fs::File;
use std::io;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};

/// All rows of a file that `export` wrote.
///
/// # Errors
/// If it can't be read, or is no Parquet.
pub fn read_parquet(path: &Path) -> io::Result<Vec<Map<String, Value>>> {
    let reader = SerializedFileReader::new(File::open(path)?).map_err(io::Error::other)?;
    let rows = reader.get_row_iter(None).map_err(io::Error::other)?;
    rows.map(|row| {
        let row = row.map_err(io::Error::other)?;
        let columns = row.get_column_iter();
        Ok(columns
            .map(|(name, field)| (name.clone(), value(field)))
            .collect())
    })
    .collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Str(text) => text.as_str().into(),
        Field::ULong(number) => (*number).into(),
        Field::Long(number) => (*number).into(),
        Field::Double(number) => (*number).into(),
        Field::Bool(flag) => (*flag).into(),
        Field::TimestampMicros(at) => {
            let time = jiff::Timestamp::from_microsecond(*at).ok();
            time.map_or(Value::Null, |time| time.to_string().into())
        }
        _ => Value::Null,
    }
}
