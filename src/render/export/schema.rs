//! The tables' schemas for programs: JSON Schema of a row, and Arrow's in the JSON of its
//! integration tests ("JSON test data format" of its specification).

use serde_json::{Map, Value, json};

use super::column::{ColumnSchema, Kind, TableSchema};

/// Of jsonl: a definition a table.
pub fn json_schema(tables: &[TableSchema]) -> Value {
    let rows = tables.iter().map(|table| {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let columns = table.columns.iter();
        let properties: Map<String, Value> = columns
            .map(|column| (column.name.to_owned(), property(column)))
            .collect();
        let row = json!({
            "title": table.name,
            "description": table.about,
            "type": "object",
            "properties": properties,
            "required": names,
        });
        (table.name.to_owned(), row)
    });
    let rows: Map<String, Value> = rows.collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rows of vmleak export",
        "$defs": rows,
    })
}

fn property(column: &ColumnSchema) -> Value {
    let mut property = match column.kind {
        Kind::Text => json!({ "type": ["string", "null"] }),
        Kind::Unsigned => json!({ "type": ["integer", "null"], "minimum": 0 }),
        Kind::Signed => json!({ "type": ["integer", "null"] }),
        Kind::Real => json!({ "type": ["number", "null"] }),
        Kind::Flag => json!({ "type": ["boolean", "null"] }),
        Kind::Time => json!({ "type": ["string", "null"], "format": "date-time" }),
    };
    if let Some(map) = property.as_object_mut() {
        map.insert("description".to_owned(), column.about.into());
    }
    property
}

/// Of Parquet: what a reader of Arrow makes of each table.
pub fn arrow_schema(tables: &[TableSchema]) -> Value {
    let tables = tables.iter().map(|table| {
        let fields: Vec<Value> = table.columns.iter().map(field).collect();
        (table.name.to_owned(), json!({ "fields": fields }))
    });
    Value::Object(tables.collect())
}

fn field(column: &ColumnSchema) -> Value {
    let kind = match column.kind {
        Kind::Text => json!({ "name": "utf8" }),
        Kind::Unsigned => json!({ "name": "int", "bitWidth": 64, "isSigned": false }),
        Kind::Signed => json!({ "name": "int", "bitWidth": 64, "isSigned": true }),
        Kind::Real => json!({ "name": "floatingpoint", "precision": "DOUBLE" }),
        Kind::Flag => json!({ "name": "bool" }),
        Kind::Time => json!({ "name": "timestamp", "unit": "MICROSECOND", "timezone": "UTC" }),
    };
    json!({ "name": column.name, "type": kind, "nullable": true, "children": [] })
}
