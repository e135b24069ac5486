//! Rows of csv out of what is written as JSON elsewhere: a column for each member, those of an
//! object within under `outer.inner`, lists as JSON.

use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::printable;
use super::rows::Csv;
use crate::report::DumpIdentity;

/// An object's members in their order.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(InOrder)
    }
}

/// Adds the cells of an object whose columns begin with `lead`.
fn cells(json: &str, lead: &str, out: &mut Vec<(String, String)>) -> io::Result<()> {
    let Members(members) = serde_json::from_str(json)?;
    for (name, value) in members {
        let name = format!("{lead}{name}");
        let text = match value.get().as_bytes() {
            [b'{', ..] => {
                cells(value.get(), &format!("{name}."), out)?;
                continue;
            }
            [b'"', ..] => printable(&serde_json::from_str::<String>(value.get())?),
            b"null" => String::new(),
            _ => value.get().to_owned(),
        };
        out.push((name, text));
    }
    Ok(())
}

/// Columns of what has not the same members in every row, so that they do not depend on the dump.
pub const LOG: &str = "seq,ts_nsec,level,facility,caller.task,caller.cpu,text,subsystem,device";
/// As [`LOG`].
pub const OOM: &str = "time,invoked_by,gfp_mask,order,constraint,memcg,zones,slabs,tasks,killed";
/// As [`LOG`].
pub const NAT: &str = "address,netns,l4proto,kind,snat.from.address,snat.from.port,\
    snat.to.address,snat.to.port,dnat.from.address,dnat.from.port,dnat.to.address,dnat.to.port,\
    masquerade_ifindex,masquerade_device,snat_rules,dnat_rules,\
    original.src,original.dst,original.sport,original.dport,\
    original.icmp_type,original.icmp_code,original.icmp_id,original.srckey,original.dstkey,\
    reply.src,reply.dst,reply.sport,reply.dport,\
    reply.icmp_type,reply.icmp_code,reply.icmp_id,reply.srckey,reply.dstkey,timeout_seconds,expired";
/// As [`LOG`].
pub const RULES: &str = "netns,filter,family,table,chain,handle,packets,bytes,text,comment";

/// A row for each of `items`, which are objects, with these `columns`, and behind them what is not
/// among them. Of a column that has an object in some rows, those of its members are named.
///
/// # Errors
/// If writing fails.
pub fn csv<T: Serialize>(
    out: &mut dyn Write,
    dump: &DumpIdentity,
    columns: &str,
    items: &[T],
) -> io::Result<()> {
    let mut rows = Vec::new();
    let mut columns: Vec<String> = match columns {
        "" => Vec::new(),
        named => named.split(',').map(str::to_owned).collect(),
    };
    let named = columns.clone();
    let is_outer = |name: &str| {
        let mut inner = named.iter().filter_map(|column| column.strip_prefix(name));
        inner.any(|rest| rest.starts_with('.'))
    };
    for item in items {
        let mut row = Vec::new();
        cells(&serde_json::to_string(item)?, "", &mut row)?;
        row.retain(|(name, _)| !is_outer(name));
        let alike = row.iter().map(|(name, _)| name).eq(&columns);
        for (name, _) in row.iter().filter(|_| !alike) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        rows.push(row);
    }
    let mut table = Csv::new(out, dump);
    table.write_record(&columns)?;
    for row in rows {
        let cell = |column: &String| row.iter().find(|(name, _)| name == column);
        table.write_record(columns.iter().map(|column| {
            let found = cell(column);
            found.map_or("", |(_, text)| text.as_str())
        }))?;
    }
    table.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Inner {
        low: u64,
        note: Option<&'static str>,
    }

    #[derive(Serialize)]
    struct Item {
        zone: &'static str,
        marks: Option<Inner>,
        free: [u64; 2],
    }

    #[test]
    fn members_are_columns_in_their_order() {
        let items = [
            Item {
                zone: "DMA",
                marks: None,
                free: [1, 2],
            },
            Item {
                zone: "Nor,mal",
                marks: Some(Inner { low: 7, note: None }),
                free: [3, 4],
            },
        ];
        let mut out = Vec::new();
        csv(&mut out, &DumpIdentity::of_no_dump("", None), "", &items).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "dump_id,host,release,crash_time,zone,marks,free,marks.low,marks.note",
                ",,,,DMA,,\"[1,2]\",,",
                ",,,,\"Nor,mal\",,\"[3,4]\",7,",
            ]
        );
    }
}
