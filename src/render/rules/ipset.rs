//! ipset as `ipset save` prints it.

use std::io::{self, Write};
use std::net::IpAddr;

use crate::subsys::net::rules::ipset::{IpSet, IpSetElement, Part};

/// Sets by number, lists of sets last, as they can be made again.
///
/// # Errors
/// If writing fails.
pub(super) fn write(out: &mut dyn Write, sets: &[IpSet]) -> io::Result<()> {
    let is_list = |set: &&IpSet| set.kind == "list:set";
    let plain = sets.iter().filter(|set| !is_list(set));
    for set in plain.chain(sets.iter().filter(is_list)) {
        writeln!(out, "{}", create(set))?;
        for element in &set.elements {
            writeln!(out, "add {} {}", set.name, added(element))?;
        }
        if !set.complete {
            writeln!(out, "# elements of {} are missing", set.name)?;
        }
    }
    Ok(())
}

fn create(set: &IpSet) -> String {
    let header = &set.header;
    let mut text = format!("create {} {}", set.name, set.kind);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(" {name} {value}"));
        }
    };
    let number = |value: Option<u32>| value.map(|value| value.to_string());
    let is_hash = set.kind.starts_with("hash:");
    let family = match set.family {
        10 => "inet6",
        _ => "inet",
    };
    add(
        "family",
        (is_hash && set.family != 0).then(|| family.to_owned()),
    );
    add(
        "markmask",
        header.markmask.map(|mask| format!("{mask:#010x}")),
    );
    let range = header.range.map(|(first, last)| match set.kind.as_str() {
        "bitmap:port" => format!("{first}-{last}"),
        _ => format!("{}-{}", IpAddr::V4(first.into()), IpAddr::V4(last.into())),
    });
    add("range", range);
    add("hashsize", header.hashsize.map(|size| size.to_string()));
    add("maxelem", number(header.maxelem));
    add("size", number(header.size));
    add("netmask", header.netmask.map(|mask| mask.to_string()));
    add("timeout", number(set.timeout_seconds));
    for (bit, word) in [(2, "counters"), (4, "comment"), (8, "skbinfo")] {
        if set.extensions & bit != 0 {
            text.push(' ');
            text.push_str(word);
        }
    }
    if let Some(size) = header.bucketsize {
        text.push_str(&format!(" bucketsize {size}"));
    }
    if let Some(initval) = header.initval {
        text.push_str(&format!(" initval {initval:#010x}"));
    }
    text
}

fn added(element: &IpSetElement) -> String {
    let parts: Vec<String> = element.parts.iter().map(part).collect();
    let mut text = parts.join(",");
    if let Some(seconds) = element.timeout_seconds {
        text.push_str(&format!(" timeout {seconds}"));
    }
    if let Some((packets, bytes)) = element.counters {
        text.push_str(&format!(" packets {packets} bytes {bytes}"));
    }
    if let Some(comment) = &element.comment {
        text.push_str(&format!(" comment \"{comment}\""));
    }
    if let Some((mark, mask, priority, queue)) = element.skb {
        if mark != 0 || mask != 0 {
            let mask = if mask == u32::MAX {
                String::new()
            } else {
                format!("/{mask:#x}")
            };
            text.push_str(&format!(" skbmark {mark:#x}{mask}"));
        }
        if priority != 0 {
            text.push_str(&format!(
                " skbprio {:x}:{:x}",
                priority >> 16,
                priority & 0xffff
            ));
        }
        if queue != 0 {
            text.push_str(&format!(" skbqueue {queue}"));
        }
    }
    if element.nomatch {
        text.push_str(" nomatch");
    }
    text
}

fn part(part: &Part) -> String {
    match part {
        Part::Ip(ip) => ip.to_string(),
        Part::Net(ip, len) => match ip {
            IpAddr::V4(_) if *len == 32 => ip.to_string(),
            IpAddr::V6(_) if *len == 128 => ip.to_string(),
            _ => format!("{ip}/{len}"),
        },
        Part::Port(proto, port) => match proto {
            1 | 58 => {
                let name = if *proto == 1 { "icmp" } else { "icmpv6" };
                format!("{name}:{}/{}", port >> 8, port & 0xff)
            }
            6 => format!("tcp:{port}"),
            17 => format!("udp:{port}"),
            132 => format!("sctp:{port}"),
            136 => format!("udplite:{port}"),
            other => format!("{other}:{port}"),
        },
        Part::PlainPort(port) => port.to_string(),
        Part::Mark(mark) => format!("{mark:#010x}"),
        Part::Mac(bytes) => {
            let parts: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            parts.join(":")
        }
        Part::Iface(name, physical) => match physical {
            true => format!("physdev:{name}"),
            false => name.clone(),
        },
        Part::Set(name) => name.clone(),
    }
}
