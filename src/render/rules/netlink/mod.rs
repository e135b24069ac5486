//! nf_tables as `nft --debug=netlink list ruleset` shows them: every expression, nothing guessed
//! (the form of libnftnl 1.3).

mod acts;
mod compares;
mod loads;
mod values;

use std::io::{self, Write};

use super::names::{self, verdict};
use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::nft::expr::Expr;
use crate::subsys::net::rules::nft::{
    Chain, Data, Element, Flowtable, Object, ObjectBody, Set, Table,
};

/// Tables before the rules as `nft list ruleset` shows them.
///
/// # Errors
/// If writing fails.
pub(super) fn write(out: &mut dyn Write, tables: &[Table]) -> io::Result<()> {
    for table in tables {
        table
            .chains
            .iter()
            .try_for_each(|one| chain(out, table, one))?;
    }
    for table in tables {
        table.sets.iter().try_for_each(|one| set(out, table, one))?;
    }
    for table in tables {
        table
            .objects
            .iter()
            .try_for_each(|one| object(out, table, one))?;
    }
    for table in tables {
        table
            .flowtables
            .iter()
            .try_for_each(|one| flowtable(out, table, one))?;
    }
    tables.iter().try_for_each(|table| body(out, table))
}

fn chain(out: &mut dyn Write, table: &Table, chain: &Chain) -> io::Result<()> {
    write!(
        out,
        "{} {} {} use {}",
        table.family.name(),
        table.name,
        chain.name,
        chain.uses
    )?;
    let Some(base) = &chain.base else {
        return writeln!(out);
    };
    write!(
        out,
        " type {} hook {} prio {} policy {} packets {} bytes {}",
        base.kind,
        base.hook,
        base.priority,
        verdict(&base.policy),
        base.packets.unwrap_or(0),
        base.bytes.unwrap_or(0)
    )?;
    if let [only] = base.devices.as_slice() {
        write!(out, " dev {only} ")?;
    }
    devices(out, &base.devices)?;
    writeln!(out, " flags {}", chain.flags)
}

fn devices(out: &mut dyn Write, names: &[String]) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    write!(out, " dev {{ ")?;
    names.iter().try_for_each(|name| write!(out, " {name} "))?;
    write!(out, " }} ")
}

fn set(out: &mut dyn Write, table: &Table, set: &Set) -> io::Result<()> {
    write!(
        out,
        "family {} {} {} {:x}",
        table.family.0, set.name, table.name, set.flags
    )?;
    if set.timeout_ms > 0 {
        write!(out, " timeout {}ms", set.timeout_ms)?;
    }
    if set.gc_interval_ms > 0 {
        write!(out, " gc_interval {}ms", set.gc_interval_ms)?;
    }
    if set.policy > 0 {
        write!(out, " policy {}", set.policy)?;
    }
    if set.size > 0 {
        write!(out, " size {}", set.size)?;
    }
    writeln!(out)
}

fn object(out: &mut dyn Write, table: &Table, object: &Object) -> io::Result<()> {
    write!(
        out,
        "table {} name {} use {} [ ",
        table.name, object.name, object.uses
    )?;
    match &object.body {
        ObjectBody::Expression { expr } => write!(out, "{} ", of_object(expr))?,
        ObjectBody::CtHelper {
            helper,
            l4proto,
            l3num,
        } => {
            write!(
                out,
                "ct_helper name {helper} family {l3num} protocol {l4proto} "
            )?;
        }
        ObjectBody::CtTimeout {
            l3num,
            l4proto,
            seconds,
        } => {
            write!(
                out,
                "ct_timeout family {l3num} protocol {l4proto} policy = {{"
            )?;
            for (state, seconds) in names::changed_timeouts(*l4proto, seconds) {
                write!(out, "{} = {seconds},", state.to_uppercase())?;
            }
            write!(out, "}}")?;
        }
        ObjectBody::CtExpectation {
            l3num,
            l4proto,
            dport,
            timeout_ms,
            size,
        } => write!(
            out,
            "ct_expect family {l3num} protocol {l4proto} dport {dport} timeout {timeout_ms} size {size} "
        )?,
        ObjectBody::Secmark { context } => write!(out, "secmark context {context} ")?,
        ObjectBody::Unknown { data } => write!(out, "unknown {} ", data.digits())?,
    }
    writeln!(out, "]")
}

/// Objects have some of the words of expressions, and some of their own.
fn of_object(expr: &Expr) -> String {
    match expr {
        Expr::Quota { bytes, flags, .. } => format!("quota bytes {bytes} flags {flags}"),
        Expr::Limit {
            rate,
            unit_seconds,
            burst,
            bytes,
            inverted,
        } => format!(
            "limit rate {rate} unit {unit_seconds} burst {burst} type {} flags {}",
            u8::from(*bytes),
            u8::from(*inverted)
        ),
        other => text(other),
    }
}

fn flowtable(out: &mut dyn Write, table: &Table, one: &Flowtable) -> io::Result<()> {
    write!(
        out,
        "flow table {} {} use {} size 0 flags {:x} hook {} prio {} ",
        table.name,
        one.name,
        one.uses,
        one.flags,
        table.family.hook(one.hook_number),
        one.priority
    )?;
    devices(out, &one.devices)?;
    writeln!(out)
}

fn body(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    for set in &table.sets {
        writeln!(out, "{} {} @{}", table.family.name(), table.name, set.name)?;
        set.elements.iter().try_for_each(|one| element(out, one))?;
    }
    for chain in &table.chains {
        let mut before = None;
        for rule in &chain.rules {
            write!(
                out,
                "{} {} {} {}",
                table.family.name(),
                table.name,
                chain.name,
                rule.handle
            )?;
            if let Some(before) = before {
                write!(out, " {before}")?;
            }
            writeln!(out)?;
            for expr in &rule.exprs {
                writeln!(out, "  [ {} ]", text(expr))?;
            }
            if rule.cut {
                writeln!(out, "  # the rest can't be read")?;
            }
            if let Some(data) = &rule.userdata {
                writeln!(out, "  {}", userdata(data))?;
            }
            before = Some(rule.handle);
        }
    }
    Ok(())
}

fn userdata(data: &Hex) -> String {
    let sum: u32 = data.0.iter().map(|byte| u32::from(*byte)).sum();
    format!("userdata len {} sum {sum:#x}", data.0.len())
}

fn element(out: &mut dyn Write, element: &Element) -> io::Result<()> {
    let mut line = String::from("\telement ");
    line.push_str(&words(element.key.as_ref()));
    if let Some(end) = &element.key_end {
        line.push_str(" - ");
        line.push_str(&words(Some(end)));
    }
    match (&element.data, &element.object) {
        (Some(Data::Value(value)), _) => line.push_str(&format!(" : {}", words(Some(value)))),
        (Some(Data::Verdict(to)), _) => line.push_str(&format!(" : {}", verdict(to))),
        (None, Some(object)) => line.push_str(&format!(" : {object}")),
        (None, None) => {}
    }
    if element.flags != 0 {
        line.push_str(&format!(" flags {}", element.flags));
    }
    if let Some(data) = &element.userdata {
        line.push_str(&format!("  {}", userdata(data)));
    }
    writeln!(out, "{line}")
}

/// Bytes in groups of four.
fn words(data: Option<&Hex>) -> String {
    let words = data.map(|data| data.0.chunks(4)).into_iter().flatten();
    let words: Vec<String> = words.map(|word| Hex(word.to_vec()).digits()).collect();
    words.join(" ")
}

/// An expression in brackets, without them.
pub(super) fn text(expr: &Expr) -> String {
    loads::loading(expr)
        .or_else(|| compares::testing(expr))
        .or_else(|| compares::limiting(expr))
        .or_else(|| acts::acting(expr))
        .or_else(|| acts::sending(expr))
        .unwrap_or_else(|| "unknown".to_owned())
}
