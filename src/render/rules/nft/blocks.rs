//! Blocks of a table: objects, sets, flowtables, heads of chains.

use super::super::names;
use super::types::{self, Devices, quoted, time};
use super::{acts, fields, limits, load, policy, priority, sets};
use crate::subsys::net::rules::nft::expr::Expr;
use crate::subsys::net::rules::nft::udata;
use crate::subsys::net::rules::nft::{Chain, Family, Flowtable, Object, ObjectBody, Set};

/// NFT_SET_*.
const CONSTANT: u32 = 2;
const INTERVAL: u32 = 4;
const MAP: u32 = 8;
const TIMEOUT: u32 = 0x10;
const DYNAMIC: u32 = 0x20;
const OBJECTS: u32 = 0x40;

fn block(head: &str, handle: &str, lines: &[String]) -> String {
    let mut text = format!("\t{head} {{{handle}\n");
    for line in lines {
        text.push_str(&format!("\t\t{line}\n"));
    }
    text + "\t}\n"
}

pub(super) fn object(object: &Object, handle: &str) -> String {
    let kind = match object.kind {
        1 => "counter",
        2 => "quota",
        3 => "ct helper",
        4 => "limit",
        5 => "ct count",
        6 => "tunnel",
        7 => "ct timeout",
        8 => "secmark",
        9 => "ct expectation",
        10 => "synproxy",
        _ => "object",
    };
    let mut lines = Vec::new();
    if let Some(comment) = &object.comment {
        lines.push(format!("comment {}", quoted(comment)));
    }
    lines.extend(body(&object.body));
    block(&format!("{kind} {}", object.name), handle, &lines)
}

fn family(l3num: u16) -> &'static str {
    names::family(l3num as u8)
}

fn body(body: &ObjectBody) -> Vec<String> {
    match body {
        ObjectBody::Expression { expr } => match expr {
            Expr::Counter { packets, bytes } => vec![format!("packets {packets} bytes {bytes}")],
            Expr::Synproxy {
                mss,
                wscale,
                options,
            } => {
                let text = acts::synproxy(*mss, *wscale, *options, "\n");
                text.lines().skip(1).map(str::to_owned).collect()
            }
            other => {
                let text = limits::limit(other).or_else(|| limits::quota(other));
                vec![text.unwrap_or_else(|| super::netlink::text(other))]
            }
        },
        ObjectBody::CtHelper {
            helper,
            l4proto,
            l3num,
        } => vec![
            format!("type {} protocol {l4proto}", quoted(helper)),
            format!("l3proto {}", family(*l3num)),
        ],
        ObjectBody::CtTimeout {
            l3num,
            l4proto,
            seconds,
        } => {
            let changed = names::changed_timeouts(*l4proto, seconds);
            let policy: Vec<String> = changed
                .iter()
                .map(|(state, seconds)| format!("{state} : {}", time(u64::from(*seconds) * 1000)))
                .collect();
            vec![
                format!("protocol {l4proto}"),
                format!("l3proto {}", family(*l3num)),
                format!("policy = {{ {} }}", policy.join(", ")),
            ]
        }
        ObjectBody::CtExpectation {
            l3num,
            l4proto,
            dport,
            timeout_ms,
            size,
        } => vec![
            format!("protocol {l4proto}"),
            format!("dport {dport}"),
            format!("timeout {}", time(u64::from(*timeout_ms))),
            format!("size {size}"),
            format!("l3proto {}", family(*l3num)),
        ],
        ObjectBody::Secmark { context } => vec![quoted(context)],
        ObjectBody::Unknown { data } => vec![format!("# not known: {}", data.digits())],
    }
}

pub(super) fn set(set: &Set, handle: &str, devices: &Devices) -> String {
    let kind = if set.flags & MAP != 0 || set.flags & OBJECTS != 0 {
        "map"
    } else {
        "set"
    };
    let mut lines = vec![type_line(set)];
    if set.policy == 1 {
        lines.push("policy memory".to_owned());
    }
    if set.size > 0 {
        lines.push(format!("size {}", set.size));
    }
    // That elements time out goes without saying where all have a default.
    let silent = set.timeout_ms > 0 && set.flags & DYNAMIC == 0;
    let flags = [
        (CONSTANT, "constant"),
        (INTERVAL, "interval"),
        (DYNAMIC, "dynamic"),
        (TIMEOUT, "timeout"),
    ];
    let flags: Vec<&str> = flags
        .into_iter()
        .filter(|(bit, _)| set.flags & bit != 0 && !(*bit == TIMEOUT && silent))
        .map(|(_, name)| name)
        .collect();
    if !flags.is_empty() {
        lines.push(format!("flags {}", flags.join(",")));
    }
    if set.timeout_ms > 0 {
        lines.push(format!("timeout {}", time(set.timeout_ms)));
    }
    if set.gc_interval_ms > 0 {
        lines.push(format!(
            "gc-interval {}",
            time(u64::from(set.gc_interval_ms))
        ));
    }
    if set.notes.auto_merge {
        lines.push("auto-merge".to_owned());
    }
    for expr in &set.exprs {
        let text = match expr {
            Expr::Counter { .. } => Some("counter".to_owned()),
            other => limits::stateful(other),
        };
        lines.push(text.unwrap_or_else(|| super::netlink::text(expr)));
    }
    if let Some(comment) = &set.notes.comment {
        lines.push(format!("comment {}", quoted(comment)));
    }
    if !set.elements.is_empty() {
        lines.push(format!("elements = {{ {} }}", elements(set, devices)));
    }
    if !set.complete {
        lines.push("# elements are missing".to_owned());
    }
    block(&format!("{kind} {}", set.name), handle, &lines)
}

/// As many to a line as nft puts there (nftables, src/expression.c, calculate_delim).
fn elements(set: &Set, devices: &Devices) -> String {
    let types = sets::types_of(set.key_type, set.flags & INTERVAL != 0);
    let all = sets::elements(set, &types, devices);
    let long = set.flags & (MAP | OBJECTS) != 0
        || set.elements.iter().any(|element| {
            element.comment.is_some() || element.expires_ms.is_some() || !element.exprs.is_empty()
        });
    let most = match set.key_type {
        _ if long => 1,
        2 | 4 | 11 | 12 | 13 | 15 | 16 | 19 | 20 | 23 | 24 | 25 | 27 => 5,
        7 | 26 | 28 | 31 => 2,
        _ => 1,
    };
    let lines: Vec<String> = all.chunks(most).map(|some| some.join(", ")).collect();
    lines.join(",\n\t\t\t     ")
}

fn type_line(set: &Set) -> String {
    let data = || {
        if set.flags & OBJECTS != 0 {
            return Some(object_type(set.object_type).to_owned());
        }
        (set.flags & MAP != 0).then(|| match set.data_type {
            0xffff_ff00 => "verdict".to_owned(),
            number => types::name(number),
        })
    };
    let interval = if set.notes.data_interval {
        "interval "
    } else {
        ""
    };
    let typeof_of = |blob: &Option<Vec<u8>>| blob.as_deref().and_then(expression);
    if let Some(key) = typeof_of(&set.notes.key_typeof) {
        let data = typeof_of(&set.notes.data_typeof).or_else(data);
        let data = data.map_or(String::new(), |data| format!(" : {interval}{data}"));
        return format!("typeof {key}{data}");
    }
    let data = data().map_or(String::new(), |data| format!(" : {interval}{data}"));
    format!("type {}{data}", types::name(set.key_type))
}

fn object_type(kind: u32) -> &'static str {
    match kind {
        1 => "counter",
        2 => "quota",
        3 => "ct helper",
        4 => "limit",
        7 => "ct timeout",
        8 => "secmark",
        9 => "ct expectation",
        10 => "synproxy",
        _ => "object",
    }
}

/// An expression that a set takes its type from: a number of its kind, and what it is of
/// (nftables, src/netlink.c, set_make_key).
fn expression(blob: &[u8]) -> Option<String> {
    let kind = udata::number(blob, 0)?;
    let data = udata::attribute(blob, 1)?;
    match kind {
        // Payload: a protocol, and a field of it.
        7 => {
            let name = fields::by_index(udata::number(data, 0)?, udata::number(data, 1)?)?;
            Some(name.to_owned())
        }
        // Meta and ct: a key.
        9 => Some(load::meta_name(meta_key(udata::number(data, 0)?)?)),
        // One after another.
        13 => {
            let parts: Option<Vec<String>> = udata::attributes(data)
                .map(|(_, part)| expression(part))
                .collect();
            Some(parts?.join(" . "))
        }
        _ => None,
    }
}

/// Keys of meta that sets are made of.
fn meta_key(key: u32) -> Option<&'static str> {
    Some(match key {
        1 => "protocol",
        3 => "mark",
        4 => "iif",
        5 => "oif",
        6 => "iifname",
        7 => "oifname",
        10 => "skuid",
        11 => "skgid",
        15 => "nfproto",
        16 => "l4proto",
        _ => return None,
    })
}

pub(super) fn flowtable(one: &Flowtable, family: Family, handle: &str) -> String {
    // Hooks of flowtables are those of netdev.
    let hook = Family(5).hook(one.hook_number);
    let mut lines = vec![format!(
        "hook {hook} priority {}",
        priority(family, hook, one.priority)
    )];
    if !one.devices.is_empty() {
        lines.push(format!("devices = {{ {} }}", devices(&one.devices)));
    }
    if one.flags & 1 != 0 {
        lines.push("flags offload".to_owned());
    }
    if one.flags & 2 != 0 {
        lines.push("counter".to_owned());
    }
    block(&format!("flowtable {}", one.name), handle, &lines)
}

fn devices(names: &[String]) -> String {
    let all: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    all.join(", ")
}

/// A chain up to its rules.
pub(super) fn chain_head(chain: &Chain, family: Family, handle: &str) -> String {
    let mut text = format!("\tchain {} {{{handle}\n", chain.name);
    if let Some(comment) = &chain.comment {
        text.push_str(&format!("\t\tcomment {}\n", quoted(comment)));
    }
    if let Some(base) = &chain.base {
        let devices = match base.devices.as_slice() {
            [] => String::new(),
            [one] => format!(" device {}", quoted(one)),
            more => format!(" devices = {{ {} }}", devices(more)),
        };
        text.push_str(&format!(
            "\t\ttype {} hook {}{devices} priority {}; policy {};\n",
            base.kind,
            base.hook,
            priority(family, base.hook, base.priority),
            policy(&base.policy)
        ));
        if chain.flags & 2 != 0 {
            text.push_str("\t\tflags offload\n");
        }
    }
    text
}
