//! The table for people, CSV, and the JSON document, each written as the walk goes.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use crate::render::head::head;
use crate::render::rows::Csv;
use crate::render::{printable, thousands};
use crate::report::conntrack::{DetailDoc, DirectionDoc, EntryDoc, ExpectationDoc};
use crate::report::{Document, DumpIdentity};
use crate::subsys::net::conntrack::netns::Namespace;
use crate::subsys::net::conntrack::stats::CpuStats;
use crate::subsys::net::conntrack::table::WalkFacts;
use crate::subsys::net::conntrack::{Limits, Reconciliation};

/// `address:port`, or what the protocol has in place of ports.
pub(in crate::render) fn end(direction: &DirectionDoc, source: bool) -> String {
    let address = if source { direction.src } else { direction.dst };
    let port = match (direction.detail, source) {
        (DetailDoc::Ports { sport, .. }, true) => Some(sport),
        (DetailDoc::Ports { dport, .. }, false) => Some(dport),
        (DetailDoc::Icmp { icmp_id, .. }, true) => Some(icmp_id),
        (DetailDoc::Keys { srckey, .. }, true) => Some(srckey),
        (DetailDoc::Keys { dstkey, .. }, false) => Some(dstkey),
        _ => None,
    };
    match (port, address.is_ipv6()) {
        (Some(port), true) => format!("[{address}]:{port}"),
        (Some(port), false) => format!("{address}:{port}"),
        (None, _) => address.to_string(),
    }
}

/// What stands above the table.
///
/// # Errors
/// If writing fails.
pub fn table_head<T>(out: &mut dyn Write, document: &Document<T>) -> io::Result<()> {
    head(out, document)?;
    writeln!(
        out,
        "\n{:<8} {:<12} {:>8}  {:<22} {:<22} {:<9} REPLY",
        "PROTO", "STATE", "LEFT", "SOURCE", "DESTINATION", "FLAGS"
    )
}

/// One connection. Addresses of IPv6 may push the columns behind them to the right.
///
/// # Errors
/// If writing fails.
pub fn table_row(out: &mut Vec<u8>, entry: &EntryDoc) -> io::Result<()> {
    let mut flags = String::new();
    if entry.unreplied {
        flags.push('U');
    }
    if entry.assured {
        flags.push('A');
    }
    if entry.offload {
        flags.push('O');
    }
    if entry.expired {
        flags.push('X');
    }
    if entry.nat.snat.is_some() {
        flags.push('S');
    }
    if entry.nat.dnat.is_some() {
        flags.push('D');
    }
    let mut reply = String::new();
    // The reply says something new only where it is not the inverse.
    if entry.nat.snat.is_some() || entry.nat.dnat.is_some() {
        let _ = write!(
            reply,
            "{} > {}",
            end(&entry.reply, true),
            end(&entry.reply, false)
        );
    }
    if entry.list != crate::subsys::net::conntrack::entry::List::Hash {
        let _ = write!(reply, " ({:?})", entry.list);
    }
    writeln!(
        out,
        "{:<8} {:<12} {:>6} s  {:<22} {:<22} {:<9} {}",
        entry.l4proto,
        entry.state.unwrap_or("-"),
        entry.timeout_seconds,
        end(&entry.original, true),
        end(&entry.original, false),
        flags,
        reply.trim()
    )
}

/// What stands below the table.
///
/// # Errors
/// If writing fails.
pub fn table_tail(
    out: &mut dyn Write,
    limits: &Limits,
    adds_up: &Reconciliation,
) -> io::Result<()> {
    writeln!(
        out,
        "\nFlags: U unreplied, A assured, O offloaded, X expired, S source and D destination translated."
    )?;
    let max = limits.max.map_or("unknown".to_owned(), thousands);
    write!(
        out,
        "{} connections in the table of at most {max}",
        thousands(adds_up.in_hash)
    )?;
    for (count, what) in [
        (Some(adds_up.unconfirmed), "unconfirmed"),
        (Some(adds_up.dying), "dying"),
        (adds_up.unlinked, "on no list"),
    ] {
        if let Some(count) = count.filter(|count| *count > 0) {
            write!(out, ", {} {what}", thousands(count))?;
        }
    }
    writeln!(out, ", all namespaces together (--summary, --netns all)")
}

/// One entry of the document, with the comma that separates it from the one before.
///
/// # Errors
/// If writing fails.
pub fn json_entry(out: &mut Vec<u8>, entry: &EntryDoc) -> io::Result<()> {
    out.extend_from_slice(b",\n");
    serde_json::to_writer(out, entry)?;
    Ok(())
}

/// What the document has besides its frame and its entries.
#[derive(Debug, Serialize)]
#[allow(missing_docs)] // named by the contract
pub struct JsonTail<'a> {
    pub limits: &'a Limits,
    pub namespaces: &'a [Namespace],
    pub expectations: &'a [ExpectationDoc],
    pub stats: &'a [CpuStats],
    pub reconciliation: &'a Reconciliation,
    pub walk: &'a WalkFacts,
}

/// Ends the list of entries and adds everything else.
///
/// # Errors
/// If writing fails.
pub fn json_tail(out: &mut dyn Write, frame: &Document<()>, tail: &JsonTail<'_>) -> io::Result<()> {
    out.write_all(b"\n]")?;
    for object in [serde_json::to_value(frame)?, serde_json::to_value(tail)?] {
        for (key, value) in object.as_object().into_iter().flatten() {
            write!(out, ",\n\"{key}\": ")?;
            serde_json::to_writer(&mut *out, value)?;
        }
    }
    out.write_all(b"\n}\n")
}

/// The header of CSV.
///
/// # Errors
/// If writing fails.
pub fn csv_head(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "dump_id,host,release,crash_time,address,netns,l3proto,l4proto,l4num,state,timeout_seconds,expired,orig_src,orig_dst,orig_sport,orig_dport,orig_packets,orig_bytes,reply_src,reply_dst,reply_sport,reply_dport,reply_packets,reply_bytes,status,mark,zone,use,helper,list"
    )
}

/// One row of CSV. Nothing in it needs quoting but names from the dump.
///
/// # Errors
/// If writing fails.
pub fn csv_row(out: &mut Vec<u8>, dump: &DumpIdentity, entry: &EntryDoc) -> io::Result<()> {
    fn text<T: ToString>(value: Option<T>) -> String {
        value.map_or(String::new(), |value| value.to_string())
    }
    let ports = |direction: &DirectionDoc| match direction.detail {
        DetailDoc::Ports { sport, dport } => (sport.to_string(), dport.to_string()),
        _ => (String::new(), String::new()),
    };
    let (orig, reply) = (&entry.original, &entry.reply);
    let (orig_ports, reply_ports) = (ports(orig), ports(reply));
    let mut csv = Csv::continued(out, dump);
    csv.write_record([
        entry.address.to_string(),
        text(entry.netns),
        entry.l3proto.to_owned(),
        entry.l4proto.to_owned(),
        entry.l4num.to_string(),
        text(entry.state),
        entry.timeout_seconds.to_string(),
        entry.expired.to_string(),
        orig.src.to_string(),
        orig.dst.to_string(),
        orig_ports.0,
        orig_ports.1,
        text(orig.packets),
        text(orig.bytes),
        reply.src.to_string(),
        reply.dst.to_string(),
        reply_ports.0,
        reply_ports.1,
        text(reply.packets),
        text(reply.bytes),
        entry.status.join(" "),
        text(entry.mark),
        text(entry.zone),
        entry.refs.to_string(),
        printable(entry.helper.as_deref().unwrap_or_default()),
        format!("{:?}", entry.list).to_lowercase(),
    ])?;
    csv.flush()
}
