//! Sets that are hashes: buckets of elements, whose form is that of the type
//! (net/netfilter/ipset/ip_set_hash_*.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::layouts::{BucketLayout, TableLayout};
use super::sets::{Found, Raw, Reader, text};
use super::{Header, Part};
use crate::addr::VirtAddr;
use crate::bytes::{u16_at, u32_at, u64_at};
use crate::kernel::layout::{Field, resolve};

/// Buckets of the largest hash that a machine holds.
const MAX_BITS: u64 = 26;
/// AHASH_MAX: elements of a bucket.
const MAX_POSITION: u64 = 64;
/// Elements of the largest set; what a bucket can't hold is damage.
const MAX_ELEMENTS: usize = 1 << 24;

/// Where the members of a `struct hash_*` lie, whose name is that of the type.
struct Own {
    table: Field,
    maxelem: Option<Field>,
    initval: Option<Field>,
    bucketsize: Option<Field>,
    netmask: Option<Field>,
    markmask: Option<Field>,
    len: usize,
}

impl Reader<'_> {
    fn own_of(&self, raw: &Raw) -> Option<Own> {
        let plain: String = raw
            .kind
            .chars()
            .filter(|c| !matches!(c, ':' | ','))
            .collect();
        let plain = plain.strip_prefix("hash")?;
        let version = if raw.family == 10 { 6 } else { 4 };
        let name = format!("hash_{plain}{version}");
        let home = format!("net/netfilter/ipset/ip_set_hash_{plain}.c");
        let found = self.kernel.types.find_at_homes(&name, &[&home]).ok()??;
        let field = |name: &str| resolve(&found, &[name]).ok().flatten();
        let all = [
            "table",
            "maxelem",
            "initval",
            "bucketsize",
            "netmask",
            "markmask",
        ];
        let len = all
            .iter()
            .filter_map(|name| field(name))
            .map(|field| field.end())
            .max()?;
        Some(Own {
            table: field("table")?,
            maxelem: field("maxelem"),
            initval: field("initval"),
            bucketsize: field("bucketsize"),
            netmask: field("netmask"),
            markmask: field("markmask"),
            len,
        })
    }

    pub(super) fn hash(&self, raw: &Raw) -> Option<Found> {
        let own = self.own_of(raw)?;
        let space = &self.kernel.space;
        let record = space.read_bytes(raw.data, own.len).ok()?;
        let table_layout: TableLayout = self.kernel.layout().ok()?;
        let table = VirtAddr(own.table.get(&record));
        let head = space.read_bytes(table, table_layout.len).ok()?;
        let bits = table_layout.bits.get(&head);
        if bits > MAX_BITS {
            return None;
        }
        let get = |field: Option<Field>| field.map(|field| field.get(&record));
        let header = Header {
            hashsize: Some(1 << bits),
            maxelem: get(own.maxelem).map(|value| value as u32),
            initval: get(own.initval).map(|value| value as u32),
            bucketsize: get(own.bucketsize).map(|value| value as u8),
            netmask: get(own.netmask)
                .map(|value| value as u8)
                .filter(|mask| *mask != whole(raw.family) && *mask != 0),
            markmask: get(own.markmask).map(|value| value as u32),
            ..Header::default()
        };
        let mut found = Found {
            header,
            elements: Vec::new(),
            complete: true,
        };
        let buckets = table.plus(u64::from(table_layout.buckets.offset));
        self.buckets(raw, buckets, 1 << bits, &mut found);
        Some(found)
    }

    fn buckets(&self, raw: &Raw, at: VirtAddr, count: u64, found: &mut Found) {
        let Ok(layout) = self.kernel.layout::<BucketLayout>() else {
            found.complete = false;
            return;
        };
        let mut bytes = vec![0; count as usize * 8];
        found.complete &= self.kernel.space.read_there(at, &mut bytes).is_empty();
        for index in 0..count as usize {
            let bucket = VirtAddr(u64_at(&bytes, index * 8).unwrap_or(0));
            if bucket.is_null() {
                continue;
            }
            let whole = found.elements.len() < MAX_ELEMENTS;
            if !whole || self.bucket(raw, &layout, bucket, found).is_none() {
                found.complete = false;
            }
            if !whole {
                return;
            }
        }
    }

    fn bucket(
        &self,
        raw: &Raw,
        layout: &BucketLayout,
        at: VirtAddr,
        found: &mut Found,
    ) -> Option<()> {
        let space = &self.kernel.space;
        let head = space.read_bytes(at, layout.len).ok()?;
        let position = layout.position.get(&head).min(MAX_POSITION);
        let used = layout.used.get(&head);
        let size = raw.element_size as usize;
        let values = at.plus(u64::from(layout.value.offset));
        let values = match position {
            0 => Vec::new(),
            position => space.read_bytes(values, position as usize * size).ok()?,
        };
        for index in (0..position as usize).filter(|index| used >> index & 1 == 1) {
            let bytes = values.get(index * size..(index + 1) * size)?;
            let (parts, nomatch) = parts(&raw.kind, raw.family, bytes)?;
            if let Some(mut element) = self.element(raw, bytes, parts) {
                element.nomatch = nomatch;
                found.elements.push(element);
            }
        }
        Some(())
    }
}

/// Bits of a whole address.
fn whole(family: u8) -> u8 {
    if family == 10 { 128 } else { 32 }
}

/// Reads an element's members one after another.
struct Bytes<'b> {
    bytes: &'b [u8],
    family: u8,
}

impl Bytes<'_> {
    fn address_size(&self) -> usize {
        if self.family == 10 { 16 } else { 4 }
    }

    fn ip(&self, at: usize) -> Option<IpAddr> {
        let bytes = self.bytes.get(at..at + self.address_size())?;
        match self.family {
            10 => Some(IpAddr::V6(Ipv6Addr::from(
                <[u8; 16]>::try_from(bytes).ok()?,
            ))),
            _ => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?))),
        }
    }

    fn u8(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn port(&self, at: usize, proto: usize) -> Option<Part> {
        let port = u16_at(self.bytes, at)?.swap_bytes();
        Some(Part::Port(self.u8(proto)?, port))
    }

    fn mac(&self, at: usize) -> Option<Part> {
        let bytes = self.bytes.get(at..at + 6)?;
        Some(Part::Mac(bytes.try_into().ok()?))
    }
}

/// What an element of a type is of, and whether it is an exception. Types with 7 bits for a prefix
/// hold one less than it has.
fn parts(kind: &str, family: u8, bytes: &[u8]) -> Option<(Vec<Part>, bool)> {
    let of = Bytes { bytes, family };
    let size = of.address_size();
    let seven = |byte: u8| ((byte & 0x7f).wrapping_add(1), byte & 0x80 != 0);
    let plain = |parts| Some((parts, false));
    match kind {
        "hash:ip" => plain(vec![Part::Ip(of.ip(0)?)]),
        "hash:mac" => plain(vec![of.mac(0)?]),
        "hash:ip,mark" => plain(vec![Part::Ip(of.ip(0)?), Part::Mark(u32_at(bytes, size)?)]),
        "hash:ip,mac" => plain(vec![Part::Ip(of.ip(0)?), of.mac(size)?]),
        "hash:ip,port" => plain(vec![Part::Ip(of.ip(0)?), of.port(size, size + 2)?]),
        "hash:ip,port,ip" => {
            let port = of.port(size * 2, size * 2 + 2)?;
            plain(vec![Part::Ip(of.ip(0)?), port, Part::Ip(of.ip(size)?)])
        }
        "hash:ip,port,net" => {
            let (cidr, nomatch) = seven(of.u8(size * 2 + 2)?);
            let port = of.port(size * 2, size * 2 + 3)?;
            Some((
                vec![Part::Ip(of.ip(0)?), port, Part::Net(of.ip(size)?, cidr)],
                nomatch,
            ))
        }
        "hash:net" => {
            let (nomatch, cidr) = (of.u8(size + 2)?, of.u8(size + 3)?);
            Some((vec![Part::Net(of.ip(0)?, cidr)], nomatch != 0))
        }
        "hash:net,port" => {
            let (cidr, nomatch) = seven(of.u8(size + 3)?);
            let port = of.port(size, size + 2)?;
            Some((vec![Part::Net(of.ip(0)?, cidr), port], nomatch))
        }
        "hash:net,iface" => net_iface(&of),
        "hash:net,net" => {
            let at = size * 2;
            let (nomatch, first, second) = net_net(&of, at)?;
            Some((
                vec![Part::Net(of.ip(0)?, first), Part::Net(of.ip(size)?, second)],
                nomatch,
            ))
        }
        "hash:net,port,net" => {
            // ip[2], port, cidr[2], padding, nomatch, proto.
            let at = size * 2;
            let port = of.port(at, at + 7)?;
            let nomatch = of.u8(at + 6)? != 0;
            let parts = vec![
                Part::Net(of.ip(0)?, of.u8(at + 2)?),
                port,
                Part::Net(of.ip(size)?, of.u8(at + 3)?),
            ];
            Some((parts, nomatch))
        }
        _ => None,
    }
}

/// `nomatch` has a byte, after padding, and both prefixes two behind it.
fn net_net(of: &Bytes<'_>, at: usize) -> Option<(bool, u8, u8)> {
    // ip[2], nomatch (u8) with its padding, cidr[2] in a union of 16 bits.
    Some((of.u8(at)? != 0, of.u8(at + 2)?, of.u8(at + 3)?))
}

/// Address, whether a bridge's device, prefix, exception, how many alike, wildcard, name.
fn net_iface(of: &Bytes<'_>) -> Option<(Vec<Part>, bool)> {
    let size = of.address_size();
    // Before 5.5 there was no wildcard, and the name began there.
    let (physical, cidr, nomatch) = (of.u8(size)?, of.u8(size + 1)?, of.u8(size + 2)?);
    let at = size + if of.u8(size + 4)? <= 1 { 5 } else { 4 };
    let wildcard = at == size + 5 && of.u8(size + 4)? != 0;
    let mut name = text(of.bytes, at, 16)?;
    if wildcard {
        name.push('+');
    }
    Some((
        vec![Part::Net(of.ip(0)?, cidr), Part::Iface(name, physical != 0)],
        nomatch != 0,
    ))
}
