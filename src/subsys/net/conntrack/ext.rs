//! Extensions of a connection: NAT, accounting, timestamps, labels, helper, ….
//!
//! `nf_ct_ext.offset[id]` is where an extension starts; 0 says that there is none. The
//! numbering depends on the configuration (enum nf_ct_ext_id), so it comes from the types.

use super::layouts::{
    AcctLayout, CounterLayout, ExtLayout, HelpLayout, HelperLayout, LabelsLayout, NatLayout,
    TstampLayout, ZoneLayout,
};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, slice, u32_at, u64_at, uint_at};
use crate::kernel::layout::Field;
use crate::kernel::{Kernel, KernelError};
use crate::space::{AddressSpace, MemFault};

/// Packets and bytes of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a connection's extensions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Counters of the original and the reply direction.
    pub acct: Option<[Counter; 2]>,
    /// Start and stop, nanoseconds since 1970.
    pub tstamp: Option<(u64, u64)>,
    /// The 128 label bits.
    pub labels: Option<[u8; 16]>,
    /// Name of the helper.
    pub helper: Option<String>,
    /// Interface that MASQUERADE went out of; 0 for other translations.
    pub masquerade_ifindex: Option<u32>,
    /// Whether that can't be told: memory or types are missing.
    pub masquerade_unknown: bool,
    /// Zone, and the directions that it holds for (up to 4.7).
    pub(super) zone: Option<(u16, u8)>,
    /// Which extensions are present: bits in the order of [`NAMES`].
    present: u16,
    lost: bool,
}

impl Extensions {
    /// Those that can't be read.
    pub(crate) fn lost() -> Self {
        Self {
            masquerade_unknown: true,
            lost: true,
            ..Self::default()
        }
    }

    /// Whether there are some that can't be read.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Names of all extensions present, lower case.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let present = self.present;
        NAMES
            .iter()
            .enumerate()
            .filter(move |(bit, _)| present >> bit & 1 == 1)
            .map(|(_, (_, name))| *name)
    }
}

/// Every extension that a kernel has had.
const NAMES: [(&str, &str); 11] = [
    ("NF_CT_EXT_HELPER", "helper"),
    ("NF_CT_EXT_NAT", "nat"),
    ("NF_CT_EXT_SEQADJ", "seqadj"),
    ("NF_CT_EXT_ACCT", "acct"),
    ("NF_CT_EXT_ECACHE", "ecache"),
    ("NF_CT_EXT_TSTAMP", "tstamp"),
    ("NF_CT_EXT_TIMEOUT", "timeout"),
    ("NF_CT_EXT_LABELS", "labels"),
    ("NF_CT_EXT_SYNPROXY", "synproxy"),
    ("NF_CT_EXT_ACT_CT", "act_ct"),
    ("NF_CT_EXT_ZONE", "zone"),
];

/// More bytes than all extensions take.
const MOST: usize = 2048;

/// Reads extensions.
#[derive(Debug)]
pub(crate) struct ExtReader {
    ext: ExtLayout,
    /// Bytes of an offset.
    width: usize,
    /// Index in [`NAMES`], and the kernel's id.
    ids: Vec<(usize, usize)>,
    /// Where the counters of both directions begin, and what each is.
    acct: Option<(u32, CounterLayout)>,
    zone: Option<ZoneLayout>,
    tstamp: Option<TstampLayout>,
    labels: Option<LabelsLayout>,
    helper: Option<(HelpLayout, HelperLayout)>,
    nat: Option<NatLayout>,
}

impl ExtReader {
    pub(crate) fn new(kernel: &Kernel) -> Result<Self, KernelError> {
        let all = kernel
            .types
            .enumeration("nf_ct_ext_id", "net/netfilter/nf_conntrack_core.c")?
            .unwrap_or_default();
        let ids = NAMES
            .iter()
            .enumerate()
            .filter_map(|(index, (enumerator, _))| {
                let (_, id) = all.iter().find(|(known, _)| known == enumerator)?;
                Some((index, usize::try_from(*id).ok()?))
            })
            .collect();
        let ext: ExtLayout = kernel.layout()?;
        let number = all.iter().find(|(name, _)| name == "NF_CT_EXT_NUM");
        let number = number.map_or(0, |(_, number)| *number);
        // Without a structure around them up to 3.13 (commit f7b13e4330ef).
        let acct = kernel.layout::<AcctLayout>();
        let acct = acct.map_or(0, |acct| acct.counter.offset);
        let reader = Self {
            width: match i64::from(ext.offsets.size) == number * 2 {
                true => 2,
                false => 1,
            },
            ext,
            ids,
            acct: kernel.layout().ok().map(|counter| (acct, counter)),
            zone: kernel.layout().ok(),
            tstamp: kernel.layout().ok(),
            labels: kernel.layout().ok(),
            helper: kernel.layout().ok().zip(kernel.layout().ok()),
            nat: kernel.layout().ok(),
        };
        if reader.nat.is_none() && reader.id("nat").is_some() {
            kernel.diag.warn(
                "nat-types",
                "no types of nf_nat: interfaces of MASQUERADE are not known (give nf_nat.ko with -s)",
            );
        }
        Ok(reader)
    }

    /// Whether zones are among the extensions; an entry without is in the default one.
    pub(super) fn has_zones(&self) -> bool {
        self.id("zone").is_some()
    }

    fn id(&self, name: &str) -> Option<usize> {
        let index = NAMES.iter().position(|(_, known)| *known == name)?;
        let (_, id) = self.ids.iter().find(|(known, _)| *known == index)?;
        Some(*id)
    }

    /// Appends to `out` the block of extensions at `ext`, if there is one.
    pub(super) fn load(
        &self,
        space: &AddressSpace,
        ext: VirtAddr,
        out: &mut Vec<u8>,
    ) -> Result<(), MemFault> {
        if ext.is_null() {
            return Ok(());
        }
        let head = space.span(ext, self.ext.struct_size)?;
        let len = (self.ext.total.get(&head) as usize).clamp(head.len(), MOST);
        out.extend_from_slice(&space.span(ext, len)?);
        Ok(())
    }

    /// What a `block` of extensions holds; `None` if it makes no sense, or names memory that can't
    /// be read.
    pub(super) fn parse(&self, kernel: &Kernel, block: &[u8]) -> Option<Extensions> {
        let mut out = Extensions::default();
        if block.is_empty() {
            return Some(out);
        }
        for (index, id) in &self.ids {
            let offset = self.offset(block, *id);
            let (Some((_, name)), true) = (NAMES.get(*index), offset != 0) else {
                continue;
            };
            out.present |= 1 << index;
            let data = block.get(offset..)?;
            match *name {
                "zone" => {
                    if let Some(layout) = &self.zone {
                        let bytes = data.get(..layout.len)?;
                        let dir = layout.dir.map_or(3, |dir| dir.get(bytes) as u8);
                        out.zone = Some((layout.id.get(bytes) as u16, dir));
                    }
                }
                "acct" => {
                    if let Some((first, counter)) = &self.acct {
                        out.acct = Some(counters(counter, data.get(*first as usize..)?)?);
                    }
                }
                "tstamp" => {
                    if let Some(layout) = &self.tstamp {
                        let bytes = data.get(..layout.len)?;
                        out.tstamp = Some((layout.start.get(bytes), layout.stop.get(bytes)));
                    }
                }
                "labels" => {
                    if let Some(layout) = &self.labels {
                        let bits = data.get(layout.bits.offset as usize..)?;
                        out.labels = Some(*bits.first_chunk()?);
                    }
                }
                "helper" => {
                    if let Some((help, _)) = &self.helper {
                        let helper = u64_at(data, help.helper.offset as usize)?;
                        out.helper = self.name_of(kernel, VirtAddr(helper)).ok()?;
                    }
                }
                "nat" => match &self.nat {
                    Some(nat) => {
                        let index = |field: Field| u32_at(data, field.offset as usize);
                        out.masquerade_ifindex = match nat.masq_index {
                            Some(field) => Some(index(field)?),
                            None => None,
                        };
                    }
                    None => out.masquerade_unknown = true,
                },
                _ => {}
            }
        }
        Some(out)
    }

    /// Where in `block` the extension `id` lies; 0 if there is none.
    fn offset(&self, block: &[u8], id: usize) -> usize {
        let at = self.ext.offsets.offset as usize + id * self.width;
        uint_at(block, at, self.width).unwrap_or(0) as usize
    }

    /// The name of the helper at `helper`.
    pub(crate) fn name_of(
        &self,
        kernel: &Kernel,
        helper: VirtAddr,
    ) -> Result<Option<String>, MemFault> {
        let (Some((_, layout)), false) = (&self.helper, helper.is_null()) else {
            return Ok(None);
        };
        let at = helper.plus(u64::from(layout.name.offset));
        let bytes = kernel
            .space
            .read_bytes(at, layout.name.size.min(64) as usize)?;
        Ok(Some(c_string(&bytes)))
    }

    /// Address of the helper structure of the connection whose extensions are at `ext`.
    pub(crate) fn helper_of(
        &self,
        kernel: &Kernel,
        ext: VirtAddr,
    ) -> Result<Option<VirtAddr>, MemFault> {
        let (Some((help, _)), Some(id), false) = (&self.helper, self.id("helper"), ext.is_null())
        else {
            return Ok(None);
        };
        let head = kernel.space.span(ext, self.ext.struct_size)?;
        match self.offset(&head, id) as u64 {
            0 => Ok(None),
            offset => {
                let at = ext.plus(offset + u64::from(help.helper.offset));
                kernel.space.read_ptr(at).map(Some)
            }
        }
    }
}

/// Packets and bytes of both directions.
fn counters(counter: &CounterLayout, data: &[u8]) -> Option<[Counter; 2]> {
    let one = |direction: usize| {
        let record = slice(data, direction * counter.struct_size, counter.struct_size)?;
        Some(Counter {
            packets: counter.packets.get(record),
            bytes: counter.bytes.get(record),
        })
    };
    Some([one(0)?, one(1)?])
}
