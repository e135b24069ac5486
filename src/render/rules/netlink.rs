//! nf_tables as `nft --debug=netlink list ruleset` shows them: every expression, nothing guessed
//! (the form of libnftnl 1.3).

use std::fmt::Write as _;
use std::io::{self, Write};

use super::names::verdict;
use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::nft::expr::{BitOp, CmpOp, Expr, NatRegs, Reg};
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
            for (state, seconds) in super::names::changed_timeouts(*l4proto, seconds) {
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

/// The same with `0x` before each.
fn value(data: &Hex) -> String {
    let words: Vec<String> = data
        .0
        .chunks(4)
        .map(|word| format!("0x{}", Hex(word.to_vec()).digits()))
        .collect();
    words.join(" ")
}

fn reg(reg: Reg) -> u8 {
    reg.number()
}

/// `addr_min reg 1 addr_max reg 1…` of those that are given.
fn regs(regs: &NatRegs) -> String {
    let all = [
        ("addr_min", regs.addr_min),
        ("addr_max", regs.addr_max),
        ("proto_min", regs.proto_min),
        ("proto_max", regs.proto_max),
    ];
    let mut text = String::new();
    for (name, given) in all {
        if let Some(given) = given {
            // A String takes whatever is written.
            let _ = write!(text, " {name} reg {}", reg(given));
        }
    }
    text
}

fn with_flags(mut text: String, flags: u32) -> String {
    if flags != 0 {
        let _ = write!(text, " flags {flags:#x}");
    }
    text
}

/// An expression in brackets, without them.
pub(super) fn text(expr: &Expr) -> String {
    loading(expr)
        .or_else(|| testing(expr))
        .or_else(|| limiting(expr))
        .or_else(|| acting(expr))
        .or_else(|| sending(expr))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn base(base: u8) -> &'static str {
    match base {
        0 => "link",
        1 => "network",
        2 => "transport",
        3 => "inner",
        4 => "tunnel",
        _ => "unknown",
    }
}

fn loading(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Payload {
            base: of,
            offset,
            len,
            dreg,
        } => {
            format!(
                "payload load {len}b @ {} header + {offset} => reg {}",
                base(*of),
                reg(*dreg)
            )
        }
        Expr::MetaLoad { name, dreg, .. } => format!("meta load {name} => reg {}", reg(*dreg)),
        Expr::CtLoad {
            name, dreg, dir, ..
        } => {
            let dir = dir.map_or(String::new(), |dir| format!(" , dir {dir}"));
            format!("ct load {name} => reg {}{dir}", reg(*dreg))
        }
        Expr::Immediate { dreg, data } => format!("immediate reg {} {}", reg(*dreg), value(data)),
        Expr::Verdict { verdict: to } => format!("immediate reg 0 {}", verdict(to)),
        Expr::ExthdrLoad {
            proto,
            kind,
            offset,
            len,
            present,
            dreg,
        } => {
            let present = if *present { " present" } else { "" };
            format!(
                "exthdr load {proto} {len}b @ {kind} + {offset}{present} => reg {}",
                reg(*dreg)
            )
        }
        Expr::Rt { name, dreg, .. } => format!("rt load {name} => reg {}", reg(*dreg)),
        Expr::Fib {
            result,
            flags,
            dreg,
        } => {
            format!(
                "fib {} => reg {}",
                super::names::fib(*result, *flags),
                reg(*dreg)
            )
        }
        Expr::Socket { key, level, dreg } => {
            let name = super::names::of(&["transparent", "mark", "wildcard", "cgroupv2"], *key);
            let level = match key {
                3 => format!(" level {level}"),
                _ => String::new(),
            };
            format!("socket load {name}{level} => reg {}", reg(*dreg))
        }
        Expr::Numgen {
            random,
            modulus,
            offset,
            dreg,
        } => {
            let kind = if *random { "random" } else { "inc" };
            format!(
                "numgen reg {} = {kind} mod {modulus}{}",
                reg(*dreg),
                plus(*offset)
            )
        }
        Expr::Jhash {
            sreg,
            dreg,
            len,
            modulus,
            seed,
            offset,
        } => {
            let seed = seed.map_or("0x0".to_owned(), |seed| format!("{seed:#x}"));
            format!(
                "hash reg {} = jhash(reg {}, {len}, {seed}) % mod {modulus}{}",
                reg(*dreg),
                reg(*sreg),
                plus(*offset)
            )
        }
        Expr::Symhash {
            dreg,
            modulus,
            offset,
        } => {
            format!(
                "hash reg {} = symhash() % mod {modulus}{}",
                reg(*dreg),
                plus(*offset)
            )
        }
        Expr::Osf { dreg, .. } => format!("osf dreg {}", reg(*dreg)),
        Expr::Xfrm {
            key,
            dir,
            spnum,
            dreg,
        } => {
            let dir = super::names::of(&["in", "out"], *dir);
            let keys = [
                "unspec", "daddr4", "daddr6", "saddr4", "saddr6", "reqid", "spi",
            ];
            format!(
                "xfrm load {dir} {spnum} {} => reg {}",
                super::names::of(&keys, *key),
                reg(*dreg)
            )
        }
        Expr::Tunnel { key, dreg } => {
            format!(
                "tunnel load {} => reg {}",
                super::names::of(&["path", "id"], *key),
                reg(*dreg)
            )
        }
        _ => return None,
    })
}

fn plus(offset: u32) -> String {
    match offset {
        0 => String::new(),
        offset => format!(" offset {offset}"),
    }
}

fn testing(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Cmp { op, sreg, data } => {
            let op = match op {
                CmpOp::Eq => "eq",
                CmpOp::Neq => "neq",
                CmpOp::Lt => "lt",
                CmpOp::Lte => "lte",
                CmpOp::Gt => "gt",
                CmpOp::Gte => "gte",
            };
            format!("cmp {op} reg {} {}", reg(*sreg), value(data))
        }
        Expr::Range {
            negated,
            sreg,
            from,
            to,
        } => {
            let op = if *negated { "neq" } else { "eq" };
            format!(
                "range {op} reg {} {} {}",
                reg(*sreg),
                value(from),
                value(to)
            )
        }
        Expr::Bitwise {
            op,
            sreg,
            sreg2,
            dreg,
            mask,
            xor,
            shift,
        } => {
            let (to, from) = (reg(*dreg), reg(*sreg));
            let pair = |sign| {
                let other = sreg2.map_or(0, reg);
                format!("bitwise reg {to} = ( reg {from} {sign} reg {other} )")
            };
            match op {
                BitOp::MaskXor => {
                    format!(
                        "bitwise reg {to} = ( reg {from} & {} ) ^ {}",
                        value(mask),
                        value(xor)
                    )
                }
                BitOp::Lshift => format!("bitwise reg {to} = ( reg {from} << {shift:#010x} )"),
                BitOp::Rshift => format!("bitwise reg {to} = ( reg {from} >> {shift:#010x} )"),
                BitOp::And => pair('&'),
                BitOp::Or => pair('|'),
                BitOp::Xor => pair('^'),
            }
        }
        Expr::Byteorder {
            sreg,
            dreg,
            hton,
            len,
            size,
        } => {
            let op = if *hton { "hton" } else { "ntoh" };
            format!(
                "byteorder reg {} = {op}(reg {}, {len}, {size})",
                reg(*dreg),
                reg(*sreg)
            )
        }
        Expr::Lookup {
            set,
            sreg,
            dreg,
            inverted,
        } => {
            let dreg = dreg.map_or(String::new(), |dreg| format!(" dreg {}", reg(dreg)));
            format!(
                "lookup reg {} set {set}{dreg} 0x{}",
                reg(*sreg),
                u8::from(*inverted)
            )
        }
        _ => return None,
    })
}

fn limiting(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Counter { packets, bytes } => format!("counter pkts {packets} bytes {bytes}"),
        Expr::Last {
            milliseconds_ago: None,
        } => "last never".to_owned(),
        Expr::Last {
            milliseconds_ago: Some(ago),
        } => format!("last {ago}"),
        Expr::Limit {
            rate,
            unit_seconds,
            burst,
            bytes,
            inverted,
        } => format!(
            "limit rate {rate}/{} burst {burst} type {} flags {:#x}",
            super::names::unit(*unit_seconds),
            if *bytes { "bytes" } else { "packets" },
            u8::from(*inverted)
        ),
        Expr::Quota {
            bytes,
            consumed,
            flags,
        } => {
            format!("quota bytes {bytes} consumed {consumed} flags {flags}")
        }
        Expr::Connlimit { count, inverted } => {
            format!("connlimit count {count} flags {:x}", u8::from(*inverted))
        }
        Expr::Dynset {
            op,
            set,
            key,
            data,
            timeout_ms,
            inverted,
            exprs,
        } => {
            let mut text = format!("dynset {op} reg_key {} set {set}", reg(*key));
            if let Some(data) = data {
                let _ = write!(text, " sreg_data {}", reg(*data));
            }
            let _ = write!(text, " timeout {timeout_ms}ms");
            for expr in exprs {
                let _ = write!(text, " expr [ {} ]", self::text(expr));
            }
            if *inverted {
                text.push_str(" 0x1");
            }
            text
        }
        Expr::Objref { kind, name } => format!("objref type {kind} name {name}"),
        Expr::ObjrefMap { set, sreg } => format!("objref sreg {} set {set}", reg(*sreg)),
        Expr::Inner {
            kind,
            header_size,
            flags,
            inner,
        } => {
            format!(
                "inner type {kind} hdrsize {header_size} flags {flags:x} [ {} ]",
                text(inner)
            )
        }
        _ => return None,
    })
}

fn acting(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::PayloadSet {
            base: of,
            offset,
            len,
            sreg,
            csum_type,
            csum_offset,
            csum_flags,
        } => format!(
            "payload write reg {} => {len}b @ {} header + {offset} csum_type {csum_type} csum_off {csum_offset} csum_flags {csum_flags:#x}",
            reg(*sreg),
            base(*of)
        ),
        Expr::MetaSet { name, sreg, .. } => format!("meta set {name} with reg {}", reg(*sreg)),
        Expr::CtSet { name, sreg, .. } => format!("ct set {name} with reg {}", reg(*sreg)),
        Expr::Notrack => "notrack".to_owned(),
        Expr::ExthdrSet {
            proto,
            kind,
            offset,
            len,
            sreg,
        } => {
            format!(
                "exthdr write {proto} reg {} => {len}b @ {kind} + {offset}",
                reg(*sreg)
            )
        }
        Expr::ExthdrReset { proto, kind } => format!("exthdr reset {proto} {kind}"),
        Expr::Log {
            prefix,
            level,
            flags,
            group,
            snaplen,
            threshold,
        } => {
            let mut text = "log".to_owned();
            if let Some(prefix) = prefix {
                let _ = write!(text, " prefix {prefix}");
            }
            match (group, level) {
                (Some(group), _) => {
                    let _ = write!(
                        text,
                        " group {group} snaplen {snaplen} qthreshold {threshold}"
                    );
                }
                (None, level) => {
                    let _ = write!(text, " level {}", level.unwrap_or(4));
                    for name in super::names::log_flags(*flags) {
                        let _ = write!(text, " {name}");
                    }
                }
            }
            text
        }
        Expr::Reject { kind, code } => format!("reject type {kind} code {code}"),
        Expr::Match { name, revision, .. } => format!("match name {name} rev {revision}"),
        Expr::Target { name, revision, .. } => format!("target name {name} rev {revision}"),
        Expr::Unknown { name, data } => format!("{name} unknown {}", data.digits()),
        _ => return None,
    })
}

/// What sends packets elsewhere.
fn sending(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Nat {
            dnat,
            family,
            flags,
            regs: given,
        } => {
            let kind = if *dnat { "dnat" } else { "snat" };
            with_flags(
                format!(
                    "nat {kind} {}{}",
                    super::names::family(*family),
                    regs(given)
                ),
                *flags,
            )
        }
        Expr::Masq { flags, regs: given } => with_flags(format!("masq{}", regs(given)), *flags),
        Expr::Redir { flags, regs: given } => with_flags(format!("redir{}", regs(given)), *flags),
        Expr::Queue {
            sreg: Some(sreg),
            flags,
            ..
        } => {
            format!("queue sreg_qnum {}{}", reg(*sreg), queue_flags(*flags))
        }
        Expr::Queue {
            number,
            total,
            flags,
            ..
        } => {
            let last = number.wrapping_add(total.saturating_sub(1));
            let range = match last == *number {
                true => String::new(),
                false => format!("-{last}"),
            };
            format!("queue num {number}{range}{}", queue_flags(*flags))
        }
        Expr::Tproxy { family, addr, port } => {
            let mut text = format!("tproxy {}", super::names::family(*family));
            if let Some(addr) = addr {
                let _ = write!(text, " addr reg {}", reg(*addr));
            }
            if let Some(port) = port {
                let _ = write!(text, " port reg {}", reg(*port));
            }
            text
        }
        Expr::Dup { addr, dev } => {
            let mut text = "dup".to_owned();
            if let Some(addr) = addr {
                let _ = write!(text, " sreg_addr {}", reg(*addr));
            }
            if let Some(dev) = dev {
                let _ = write!(text, " sreg_dev {}", reg(*dev));
            }
            text
        }
        Expr::Fwd { dev, addr, family } => {
            let mut text = format!("fwd sreg_dev {}", reg(*dev));
            if let Some(addr) = addr {
                let _ = write!(text, " sreg_addr {}", reg(*addr));
            }
            if let Some(family) = family {
                let _ = write!(text, " nfproto {family}");
            }
            text
        }
        Expr::FlowOffload { flowtable } => format!("flow_offload flowtable {flowtable}"),
        Expr::Synproxy { mss, wscale, .. } => format!("synproxy mss {mss} wscale {wscale}"),
        _ => return None,
    })
}

fn queue_flags(flags: u32) -> String {
    let bypass = if flags & 1 != 0 { " bypass" } else { "" };
    let fanout = if flags & 2 != 0 { " fanout" } else { "" };
    format!("{bypass}{fanout}")
}
