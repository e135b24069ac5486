//! Matches on what is not in the packet: CPU, groups of devices, realm of the route, which node of a
//! cluster it belongs to, cgroup, connection (include/uapi/linux/netfilter/xt_*.h).

use super::Around;
use super::info::{Info, quoted};
use super::options::{Options, masked, network, only};
use crate::subsys::net::rules::xt::Extension;

/// Its options; `None` of what is not known here.
pub(super) fn text(around: Around<'_>, one: &Extension) -> Option<String> {
    let info = Info(&one.info.0);
    match (one.name.as_str(), one.revision) {
        ("cpu", 0) => {
            let mut options = Options::default();
            options.value("cpu", info.u32(4)? != 0, info.u32(0)?);
            Some(options.text())
        }
        ("realm", 0) => {
            let mut options = Options::default();
            let realm = masked(info.u32(0)?, info.u32(4)?);
            options.value("realm", info.u8(8)? != 0, realm);
            Some(options.text())
        }
        ("devgroup", 0) => device_groups(info),
        ("cluster", 0) => cluster(info),
        ("cgroup", 0..=2) => cgroup(info, one.revision),
        ("connlabel", 0) => label(info),
        ("ipvs", 0) => virtual_server(around, info),
        _ => None,
    }
}

/// `struct xt_devgroup_info`. Names that /etc/iproute2/group may have given are not in the kernel.
fn device_groups(info: Info<'_>) -> Option<String> {
    let flags = info.u32(0)?;
    only(flags, 0xf)?;
    let mut options = Options::default();
    for (bit, turned, name, at) in [(1, 2, "src-group", 4), (4, 8, "dst-group", 12)] {
        if flags & bit != 0 {
            let group = masked(info.u32(at)?, info.u32(at + 4)?);
            options.value(name, flags & turned != 0, group);
        }
    }
    Some(options.text())
}

/// `struct xt_cluster_match_info`.
fn cluster(info: Info<'_>) -> Option<String> {
    let flags = info.u32(12)?;
    only(flags, 1)?;
    let mut options = Options::default();
    let nodes = format!("{:#010x}", info.u32(4)?);
    options.value("cluster-local-nodemask", flags & 1 != 0, nodes);
    options.value("cluster-total-nodes", false, info.u32(0)?);
    let seed = format!("{:#010x}", info.u32(8)?);
    options.value("cluster-hash-seed", false, seed);
    Some(options.text())
}

/// `struct xt_cgroup_info_v0` to 2: a class of net_cls, or a path of version 2, which revision 1 has
/// room for as long as paths may be.
fn cgroup(info: Info<'_>, revision: u8) -> Option<String> {
    let mut options = Options::default();
    if revision == 0 {
        options.value("cgroup", info.u32(4)? != 0, info.u32(0)?);
        return Some(options.text());
    }
    // PATH_MAX.
    let (len, class_at) = if revision == 1 {
        (4 << 10, (4 << 10) + 4)
    } else {
        (512, 4)
    };
    let (by_path, by_class) = (info.u8(0)? != 0, info.u8(1)? != 0);
    if by_path {
        options.value("path", info.u8(2)? != 0, quoted(&info.text(4, len)?));
    }
    if by_class {
        options.value("cgroup", info.u8(3)? != 0, info.u32(class_at)?);
    }
    Some(options.text())
}

/// `struct xt_connlabel_mtinfo`. Names that connlabel.conf may have given are not in the kernel.
fn label(info: Info<'_>) -> Option<String> {
    let flags = u32::from(info.u16(2)?);
    only(flags, 3)?;
    let mut options = Options::default();
    let label = format!("\"{}\"", info.u16(0)?);
    options.value("label", flags & 1 != 0, label);
    options.flags(flags, &[(2, "set")]);
    Some(options.text())
}

/// `struct xt_ipvs_mtinfo`.
fn virtual_server(around: Around<'_>, info: Info<'_>) -> Option<String> {
    let (inverted, asked) = (info.u8(38)?, info.u8(39)?);
    only(u32::from(asked | inverted), 0x7f)?;
    let not = |bit: u8| inverted & bit != 0;
    let mut options = Options::default();
    // All others say this too.
    if asked == 1 {
        options.flag("ipvs", not(1));
    }
    if asked & 2 != 0 {
        options.value("vproto", not(2), info.u8(34)?);
    }
    if asked & 4 != 0 {
        options.value("vaddr", not(4), network(info, around.family, 0, 16)?);
    }
    if asked & 8 != 0 {
        options.value("vport", not(8), info.be16(32)?);
    }
    if asked & 0x10 != 0 {
        let way = if not(0x10) { "REPLY" } else { "ORIGINAL" };
        options.value("vdir", false, way);
    }
    if asked & 0x20 != 0 {
        // IP_VS_CONN_F_*; 1, to the machine itself, can't be asked for.
        let method = match info.u8(35)? {
            0 => "MASQ",
            2 => "IPIP",
            3 => "GATE",
            _ => return None,
        };
        options.value("vmethod", not(0x20), method);
    }
    if asked & 0x40 != 0 {
        options.value("vportctl", not(0x40), info.be16(36)?);
    }
    Some(options.text())
}
