//! net.*: what depends on a namespace, a device or a variable of the network's core.

use super::super::decode::{Answer, Unread, ValueReader, hex_bitmap};
use super::super::handlers::Decoder;
use super::super::tree::Leaf;
use super::{Once, unknown};
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;

layout! {
    /// include/net/netfilter/nf_log.h
    struct LoggerLayout = "nf_logger" in "net/netfilter/nf_log.c" {
        need name = "name",
    }
}

layout! {
    /// include/net/sch_generic.h
    struct QdiscLayout = "Qdisc_ops" in "net/sched/sch_api.c" {
        need id = "id",
    }
}

layout! {
    /// include/linux/netdevice.h
    struct SoftnetLayout = "softnet_data" in "net/core/dev.c" {
        /// With CONFIG_NET_FLOW_LIMIT.
        maybe flow_limit = "flow_limit",
    }
}

layout! {
    /// include/net/hotdata.h, 6.9 and later.
    struct HotLayout = "net_hotdata" in "net/core/hotdata.c" {
        maybe flows = "rps_sock_flow_table",
    }
}

layout! {
    /// include/net/rps.h (include/linux/netdevice.h before 6.9)
    struct FlowLayout = "rps_sock_flow_table" in "net/core/dev.c" {
        /// Since 7.1 its logarithm is in the low bits of the pointer to the table.
        maybe mask = "mask",
    }
}

layout! {
    /// include/linux/skbuff.h
    struct BufferLayout = "sk_buff" in "net/core/skbuff.c" {
        need data_len = "len",
    }
}

layout! {
    /// include/linux/skbuff.h
    struct SharedLayout = "skb_shared_info" in "net/core/skbuff.c" {
        need frags = "nr_frags",
    }
}

/// Structures of this file.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    logger: Once<LoggerLayout>,
    qdisc: Once<QdiscLayout>,
    softnet: Once<SoftnetLayout>,
    hot: Once<HotLayout>,
    flow: Once<FlowLayout>,
    buffer: Once<BufferLayout>,
    shared: Once<SharedLayout>,
}

/// net/ipv4/sysctl_net_ipv4.c
pub(crate) fn port_range(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let (at, field) = reader.net_member(leaf, |net| net.port_range)?;
    let both = reader.kernel.space.read_u64(at)?;
    Ok(match field.size {
        8 => format!("{}\t{}", both as u32, both >> 32),
        _ => format!("{}\t{}", both & 0xffff, both >> 16 & 0xffff),
    })
}

/// net/ipv6/addrconf.c: reading a secret that is not set is an error. A `bool` and the secret.
pub(crate) fn stable_secret(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let bytes = reader.kernel.space.read_bytes(leaf.data, 20)?;
    let Some((&[set, ..], secret)) = bytes.split_first_chunk::<4>() else {
        return Err(unknown("it"));
    };
    if set == 0 {
        return Err(Unread::Refused("not set"));
    }
    let words = secret.chunks_exact(2);
    let words: Vec<String> = words
        .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    Ok(words.join(":"))
}

/// net/core/neighbour.c, net/ipv6/ndisc.c: by the file's name.
pub(crate) fn neighbour_time(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let unit = match leaf.last() {
        "retrans_time" => Decoder::Int,
        "base_reachable_time" => Decoder::Jiffies,
        "retrans_time_ms" | "base_reachable_time_ms" => Decoder::Ms,
        _ => return Err(unknown("a time of this name")),
    };
    reader.decode(leaf, unit)
}

/// net/core/neighbour.c: bytes as the number of the largest Ethernet frames that fit
/// (SKB_TRUESIZE).
pub(crate) fn unresolved_queue(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    const FRAME: usize = 1514;
    const CACHE_LINE: usize = 64;
    let shapes = &reader.shapes.networks;
    let buffer = shapes.buffer.get(reader)?.struct_size;
    let shared = shapes.shared.get(reader)?.struct_size;
    let one = FRAME + buffer.next_multiple_of(CACHE_LINE) + shared.next_multiple_of(CACHE_LINE);
    let bytes = reader.kernel.space.read_u32(leaf.data)?;
    Ok((bytes as usize / one).to_string())
}

/// net/sctp/sysctl.c: a pointer to what cookies are signed with, if they are. Newer
/// kernels (7.2 is one) keep a truth in its place, an `int` with another behind it, and sign with
/// one method alone.
pub(crate) fn cookie_mac(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    const MAX_NAME: usize = 8;
    if leaf.maxlen != 8 {
        return Err(unknown("how it is kept"));
    }
    let name = reader.kernel.space.read_ptr(leaf.data)?;
    let is_signed = name.0 as u32 != 0;
    match name.0 >> 63 {
        0 if is_signed => Ok("sha256".to_owned()),
        0 => Ok("none".to_owned()),
        _ => reader.string(name, MAX_NAME),
    }
}

/// net/vmw_vsock/af_vsock.c: `enum vsock_net_mode` (7.2 has it).
pub(crate) fn vsock_mode(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    match reader.kernel.space.read_u32(leaf.data)? {
        0 => Ok("global".to_owned()),
        1 => Ok("local".to_owned()),
        _ => Err(unknown("this mode")),
    }
}

/// net/netfilter/nf_log.c: `extra1` counts the protocols, `extra2` is the namespace.
pub(crate) fn logger(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let name = reader.shapes.networks.logger.get(reader)?.name;
    let loggers = reader.shapes.net.get(reader)?.loggers;
    let loggers = loggers.ok_or_else(|| unknown("the loggers"))?;
    if leaf.extra1 >= u64::from(loggers.size) / 8 {
        return Err(unknown("the logger"));
    }
    let offset = u64::from(loggers.offset) + leaf.extra1 * 8;
    let logger = reader.kernel.space.read_ptr(leaf.extra2.plus(offset))?;
    match logger.is_null() {
        true => Ok("NONE".to_owned()),
        false => reader.name_in(logger, name),
    }
}

/// net/netfilter/nf_hooks_lwtunnel.c, nf_conntrack_standalone.c before 5.19.
pub(crate) fn lwtunnel_hooks(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let key = reader.variable("nf_hooks_lwtunnel_enabled")?;
    Ok(reader.key_at(key)?.to_string())
}

/// net/core/sysctl_net_core.c
pub(crate) fn default_qdisc(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let id = reader.shapes.networks.qdisc.get(reader)?.id;
    let ops = VirtAddr(reader.long("default_qdisc_ops")?);
    reader.name_in(ops, id)
}

/// net/core/sysctl_net_core.c: 52 bytes, 256 since 6.19, of which no type tells.
pub(crate) fn rss_key(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let len = match reader.kernel.symbol_room("netdev_rss_key") {
        Some(52..256) => 52,
        Some(256..512) => 256,
        _ => return Err(Unread::Raw("the key's length is not known".to_owned())),
    };
    let key = reader.variable("netdev_rss_key")?;
    let bytes = reader.kernel.space.read_bytes(key, len)?;
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(bytes.join(":"))
}

/// net/core/sysctl_net_core.c: the CPUs that have a table.
pub(crate) fn flow_limit_cpus(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let field = reader.shapes.networks.softnet.get(reader)?.flow_limit;
    let field = field.ok_or_else(|| unknown("flow limits"))?;
    let bits = reader.cpu_bits()?;
    let data = reader.variable("softnet_data")?;
    let cpus = reader.cpus().ok_or_else(|| unknown("the list of CPUs"))?;
    let mut mask = vec![0u8; bits.div_ceil(8)];
    for (cpu, at) in cpus.instances(data.plus(u64::from(field.offset))) {
        let limit = reader.kernel.space.read_ptr(at)?;
        if let Some(byte) = mask.get_mut(cpu as usize / 8).filter(|_| !limit.is_null()) {
            *byte |= 1 << (cpu % 8);
        }
    }
    mask.resize(bits.div_ceil(64) * 8, 0);
    Ok(hex_bitmap(&mask, bits))
}

/// net/core/sysctl_net_core.c: no mask at all is an empty one.
pub(crate) fn rps_default_mask(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let (at, _) = reader.net_member(leaf, |net| net.rps_mask)?;
    let bits = reader.cpu_bits()?;
    let len = bits.div_ceil(64) * 8;
    let mask = reader.kernel.space.read_ptr(at)?;
    let bytes = match mask.is_null() {
        true => vec![0; len],
        false => reader.kernel.space.read_bytes(mask, len)?,
    };
    Ok(hex_bitmap(&bytes, bits))
}

/// net/core/sysctl_net_core.c
pub(crate) fn flow_entries(reader: &ValueReader<'_>, _: &Leaf) -> Answer {
    let space = &reader.kernel.space;
    let shapes = &reader.shapes.networks;
    let at = match reader.variable("rps_sock_flow_table") {
        Ok(at) => at,
        Err(_) => {
            let flows = shapes.hot.get(reader)?.flows;
            let flows = flows.ok_or_else(|| unknown("the table of flows"))?;
            let hot = reader.variable("net_hotdata")?;
            hot.plus(u64::from(flows.offset))
        }
    };
    let table = space.read_ptr(at)?;
    if table.is_null() {
        return Ok("0".to_owned());
    }
    let entries = match shapes.flow.get(reader)?.mask {
        Some(mask) => space
            .read_u32(table.plus(u64::from(mask.offset)))?
            .wrapping_add(1),
        None => 1 << (table.0 & 31),
    };
    Ok(entries.to_string())
}

/// net/ipv4/sysctl_net_ipv4.c, 6.11 and later: what was written, not the key made of it.
pub(crate) fn hash_seed(reader: &ValueReader<'_>, leaf: &Leaf) -> Answer {
    let (at, _) = reader.net_member(leaf, |net| net.hash_seed)?;
    Ok(reader.kernel.space.read_u32(at)?.to_string())
}
