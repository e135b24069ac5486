//! From a namespace to its sets.

use std::collections::BTreeMap;

use super::layouts::*;
use super::{Header, IpSet, IpSetElement, Part};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u16_at, u64_at};
use crate::kernel::layout::Field;
use crate::kernel::modules::{self, Modules};
use crate::kernel::{Kernel, KernelError, namespaces, walk};
use crate::subsys::clock::Clock;

/// IPSET_INVALID_ID is the first number that no set has.
const MAX_SETS: usize = 65_535;
/// Bits of a bitmap: 16 of an address or all ports.
const MAX_BITS: u64 = 1 << 16;
/// IPSET_EXT_TIMEOUT.
pub(super) const TIMEOUT: u8 = 1;
/// Elements are as large as their parts and extensions.
pub(super) const MAX_ELEMENT: u64 = 1024;

/// Reads what ipset has.
#[derive(Debug)]
pub(in super::super) struct Reader<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) clock: Option<Clock>,
    pub(super) set: SetLayout,
    net: IpsetNetLayout,
    kind: TypeLayout,
    id: VirtAddr,
}

/// One set as it lies in memory.
pub(super) struct Raw {
    pub(super) kind: String,
    pub(super) family: u8,
    pub(super) extensions: u8,
    pub(super) element_size: u64,
    /// Where the extensions of an element lie: counter, timeout, marks, comment.
    pub(super) offsets: Vec<u64>,
    pub(super) data: VirtAddr,
}

/// What the set's own structure tells.
pub(super) struct Found {
    pub(super) header: Header,
    pub(super) elements: Vec<IpSetElement>,
    pub(super) complete: bool,
}

impl<'k> Reader<'k> {
    /// `None` if the kernel has no ipset.
    ///
    /// # Errors
    /// If its types don't describe it.
    pub(in super::super) fn new(
        kernel: &'k Kernel,
        modules: &Modules,
        clock: Option<Clock>,
    ) -> Result<Option<Self>, KernelError> {
        let Some(id) = modules::resolve(kernel, modules, "ip_set_net_id") else {
            return Ok(None);
        };
        Ok(Some(Self {
            set: kernel.layout()?,
            net: kernel.layout()?,
            kind: kernel.layout()?,
            kernel,
            clock,
            id,
        }))
    }

    /// The sets of the namespace at `net`, by number.
    pub(in super::super) fn sets(&self, net: VirtAddr) -> Vec<IpSet> {
        let Some(own) = namespaces::generic(self.kernel, net, self.id) else {
            return Vec::new();
        };
        let space = &self.kernel.space;
        let Ok(record) = space.read_bytes(own, self.net.len) else {
            return Vec::new();
        };
        let max = (self.net.max.get(&record) as usize).min(MAX_SETS);
        let list = VirtAddr(self.net.list.get(&record));
        let Ok(list) = space.read_bytes(list, max * 8) else {
            return Vec::new();
        };
        let at = |index: usize| VirtAddr(u64_at(&list, index * 8).unwrap_or(0));
        let there: Vec<(usize, VirtAddr)> = (0..max)
            .map(|index| (index, at(index)))
            .filter(|(_, at)| !at.is_null())
            .collect();
        let names: BTreeMap<u16, String> = there
            .iter()
            .filter_map(|(index, at)| Some((*index as u16, self.name(*at)?)))
            .collect();
        let one = |(index, at): &(usize, VirtAddr)| self.one(*index as u16, *at, &names);
        there.iter().filter_map(one).collect()
    }

    fn name(&self, at: VirtAddr) -> Option<String> {
        let name = self.set.name;
        let at = at.plus(u64::from(name.offset));
        self.kernel.space.read_c_string(at, name.size as usize).ok()
    }

    fn one(&self, index: u16, at: VirtAddr, names: &BTreeMap<u16, String>) -> Option<IpSet> {
        let layout = &self.set;
        let record = self.kernel.space.read_bytes(at, layout.struct_size).ok()?;
        let get = |field: Field| field.get(&record);
        let kind = VirtAddr(get(layout.kind)).plus(u64::from(self.kind.name.offset));
        let kind = self.kernel.space.read_c_string(kind, 32).ok()?;
        let offset = layout.offsets.offset as usize;
        let raw = Raw {
            kind: kind.clone(),
            family: get(layout.family) as u8,
            extensions: get(layout.extensions) as u8,
            element_size: get(layout.element_size).min(MAX_ELEMENT),
            offsets: (0..4)
                .filter_map(|at| u64_at(&record, offset + at * 8))
                .collect(),
            data: VirtAddr(get(layout.data)),
        };
        let name = names.get(&index).cloned().unwrap_or_default();
        let found = match kind.as_str() {
            "bitmap:ip" => self.bitmap_ip(&raw),
            "bitmap:ip,mac" => self.bitmap_ipmac(&raw),
            "bitmap:port" => self.bitmap_port(&raw),
            "list:set" => self.list(&raw, names),
            _ => self.hash(&raw),
        };
        let found = found.unwrap_or(Found {
            header: Header::default(),
            elements: Vec::new(),
            complete: false,
        });
        if !found.complete {
            self.kernel.diag.warn(
                "ipset-cut",
                format!("elements of the ipset {name} ({kind}) are missing: its memory is damaged or not in the dump, or its types are not known"),
            );
        }
        let timeout = get(layout.timeout) as u32;
        Some(IpSet {
            index,
            name,
            family: raw.family,
            extensions: raw.extensions,
            timeout_seconds: (raw.extensions & TIMEOUT != 0).then_some(timeout),
            references: get(layout.references) as u32,
            header: found.header,
            elements: found.elements,
            complete: found.complete,
            kind,
        })
    }

    /// The bits that are set of a bitmap.
    fn bits(&self, members: u64, count: u64) -> Option<Vec<u64>> {
        let count = count.min(MAX_BITS);
        let bytes = count.div_ceil(64) as usize * 8;
        let map = self
            .kernel
            .space
            .read_bytes(VirtAddr(members), bytes)
            .ok()?;
        let is_set = |bit: &u64| {
            map.get((bit / 8) as usize)
                .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        };
        Some((0..count).filter(is_set).collect())
    }

    fn bitmap_ip(&self, raw: &Raw) -> Option<Found> {
        let layout: BitmapIpLayout = self.kernel.layout().ok()?;
        let record = self.kernel.space.read_bytes(raw.data, layout.len).ok()?;
        let get = |field: Field| field.get(&record);
        let (first, last) = (get(layout.first) as u32, get(layout.last) as u32);
        let (hosts, netmask) = (get(layout.hosts).max(1) as u32, get(layout.netmask) as u8);
        let extensions = raw.data.plus(u64::from(layout.extensions.offset));
        let bits = self.bits(get(layout.members), get(layout.elements))?;
        let part = |bit: u64| {
            let ip = first.wrapping_add((bit as u32).wrapping_mul(hosts));
            vec![Part::Net(ip_of(ip), netmask)]
        };
        let (elements, complete) = self.of_bits(raw, extensions, &bits, |_, bit| Some(part(bit)));
        Some(Found {
            header: Header {
                range: Some((first, last)),
                netmask: Some(netmask).filter(|mask| *mask != 32),
                ..Header::default()
            },
            elements,
            complete,
        })
    }

    fn bitmap_port(&self, raw: &Raw) -> Option<Found> {
        let layout: BitmapPortLayout = self.kernel.layout().ok()?;
        let record = self.kernel.space.read_bytes(raw.data, layout.len).ok()?;
        let get = |field: Field| field.get(&record);
        let (first, last) = (get(layout.first) as u16, get(layout.last) as u16);
        let extensions = raw.data.plus(u64::from(layout.extensions.offset));
        let bits = self.bits(get(layout.members), get(layout.elements))?;
        let part = |bit: u64| vec![Part::PlainPort(first.wrapping_add(bit as u16))];
        let (elements, complete) = self.of_bits(raw, extensions, &bits, |_, bit| Some(part(bit)));
        Some(Found {
            header: Header {
                range: Some((u32::from(first), u32::from(last))),
                ..Header::default()
            },
            elements,
            complete,
        })
    }

    /// Its elements have an address of Ethernet, or none yet (`filled`: 1 where there is one).
    fn bitmap_ipmac(&self, raw: &Raw) -> Option<Found> {
        let layout: BitmapIpmacLayout = self.kernel.layout().ok()?;
        let record = self.kernel.space.read_bytes(raw.data, layout.len).ok()?;
        let get = |field: Field| field.get(&record);
        let (first, last) = (get(layout.first) as u32, get(layout.last) as u32);
        let extensions = raw.data.plus(u64::from(layout.extensions.offset));
        let bits = self.bits(get(layout.members), get(layout.elements))?;
        let parts = |bytes: &[u8], bit: u64| {
            let mut parts = vec![Part::Ip(ip_of(first.wrapping_add(bit as u32)))];
            let mac: [u8; 6] = bytes.get(..6)?.try_into().ok()?;
            if bytes.get(6).is_some_and(|filled| *filled == 1) {
                parts.push(Part::Mac(mac));
            }
            Some(parts)
        };
        let (elements, complete) = self.of_bits(raw, extensions, &bits, parts);
        Some(Found {
            header: Header {
                range: Some((first, last)),
                ..Header::default()
            },
            elements,
            complete,
        })
    }

    /// One element for each bit, with what it has besides.
    fn of_bits(
        &self,
        raw: &Raw,
        extensions: VirtAddr,
        bits: &[u64],
        parts: impl Fn(&[u8], u64) -> Option<Vec<Part>>,
    ) -> (Vec<IpSetElement>, bool) {
        let mut all = Vec::new();
        let mut complete = true;
        for bit in bits {
            let at = extensions.plus(bit.saturating_mul(raw.element_size));
            let bytes = match raw.element_size {
                0 => Ok(Vec::new()),
                size => self.kernel.space.read_bytes(at, size as usize),
            };
            let read = bytes.ok().and_then(|bytes| {
                let parts = parts(&bytes, *bit)?;
                Some((bytes, parts))
            });
            match read {
                Some((bytes, parts)) => all.extend(self.element(raw, &bytes, parts)),
                None => complete = false,
            }
        }
        (all, complete)
    }

    fn list(&self, raw: &Raw, names: &BTreeMap<u16, String>) -> Option<Found> {
        let layout: ListLayout = self.kernel.layout().ok()?;
        let record = self.kernel.space.read_bytes(raw.data, layout.len).ok()?;
        let element: ListElementLayout = self.kernel.layout().ok()?;
        let head = raw.data.plus(u64::from(layout.members.offset));
        let found = walk::list(&self.kernel.space, head, MAX_SETS as u64);
        let mut elements = Vec::new();
        let mut complete = found.end.is_complete();
        for link in found.value {
            let at = link.minus(u64::from(element.list.offset));
            let size = (raw.element_size as usize).max(element.len);
            let Ok(bytes) = self.kernel.space.read_bytes(at, size) else {
                complete = false;
                continue;
            };
            let id = u16_at(&bytes, element.id.offset as usize).unwrap_or(u16::MAX);
            let name = names.get(&id).cloned().unwrap_or_else(|| format!("?{id}"));
            elements.extend(self.element(raw, &bytes, vec![Part::Set(name)]));
        }
        Some(Found {
            header: Header {
                size: Some(layout.size.get(&record) as u32),
                ..Header::default()
            },
            elements,
            complete,
        })
    }
}

/// An address in the host's order.
fn ip_of(ip: u32) -> std::net::IpAddr {
    std::net::IpAddr::V4(ip.into())
}

/// Text of at most so many bytes.
pub(super) fn text(bytes: &[u8], at: usize, len: usize) -> Option<String> {
    Some(c_string(bytes.get(at..at + len)?))
}
