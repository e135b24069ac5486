//! What expressions point to: sets, chains, objects by name, counters and times.

use super::Verdict;
use super::layouts::{
    ChainLayout, FlowtableLayout, ObjectLayout, ObjectOpsLayout, ObjectTypeLayout, SetLayout,
};
use crate::addr::VirtAddr;
use crate::bytes::{u32_at, u64_at};
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, Layout, LayoutError};
use crate::kernel::modules::Modules;
use crate::kernel::symbolize::Symbolizer;
use crate::subsys::clock::Clock;

/// NFT_NAME_MAXLEN, NUL included.
const MAX_NAME: usize = 256;
/// NFT_SET_MAP.
pub(super) const SET_MAP: u64 = 8;

/// Looks up what something is called.
#[derive(Debug)]
pub(super) struct Names<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) clock: Option<Clock>,
    modules: &'k Modules,
    cpus: Option<Cpus>,
    pub(super) sets: SetLayout,
    pub(super) chains: ChainLayout,
    /// 4.10 and later, so the next two.
    pub(super) objects: Option<ObjectLayout>,
    object_ops: Option<ObjectOpsLayout>,
    object_types: Option<ObjectTypeLayout>,
    /// 4.16 and later.
    pub(super) flowtables: Option<FlowtableLayout>,
}

/// The layout of a structure that older kernels lack.
fn if_any<L: Layout + Clone + Send + Sync + 'static>(
    kernel: &Kernel,
) -> Result<Option<L>, LayoutError> {
    match kernel.layout() {
        Ok(layout) => Ok(Some(layout)),
        Err(LayoutError::NoStruct(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<'k> Names<'k> {
    pub(super) fn new(
        kernel: &'k Kernel,
        modules: &'k Modules,
        clock: Option<Clock>,
        cpus: Option<Cpus>,
    ) -> Result<Self, LayoutError> {
        Ok(Self {
            sets: kernel.layout()?,
            chains: kernel.layout()?,
            objects: if_any(kernel)?,
            object_ops: if_any(kernel)?,
            object_types: if_any(kernel)?,
            flowtables: if_any(kernel)?,
            kernel,
            clock,
            modules,
            cpus,
        })
    }

    /// The symbol at an address, in a module or the kernel.
    pub(super) fn symbol(&self, at: VirtAddr) -> Option<String> {
        match self.modules.symbolize(at) {
            Some((_, name, 0)) => Some(name.to_owned()),
            Some(_) => None,
            None => {
                let found = Symbolizer::new(self.kernel, self.modules).find(at)?;
                (found.offset == 0).then_some(found.function)
            }
        }
    }

    /// A name that a member points to.
    pub(super) fn text(&self, pointer: VirtAddr) -> Option<String> {
        self.kernel.space.read_c_string(pointer, MAX_NAME).ok()
    }

    /// The name of the structure at `at`; one that can't be read is said by its address.
    pub(super) fn named(&self, at: VirtAddr, name: Field) -> String {
        let place = at.plus(u64::from(name.offset));
        let text = match name.size {
            0..=8 => {
                let pointer = self.kernel.space.read_ptr(place);
                pointer.ok().and_then(|pointer| self.text(pointer))
            }
            // In the structure itself.
            _ => self.text(place),
        };
        text.unwrap_or_else(|| format!("?{at}"))
    }

    pub(super) fn set(&self, at: VirtAddr) -> String {
        self.named(at, self.sets.name)
    }

    /// Whether a set has data.
    pub(super) fn is_map(&self, at: VirtAddr) -> bool {
        let record = self.kernel.space.read_bytes(at, self.sets.len);
        record.is_ok_and(|record| self.sets.flags.get(&record) & SET_MAP != 0)
    }

    pub(super) fn flowtable(&self, at: VirtAddr) -> String {
        match &self.flowtables {
            Some(layout) => self.named(at, layout.name),
            None => format!("?{at}"),
        }
    }

    /// The kind (NFT_OBJECT_*) and name of an object.
    pub(super) fn object(&self, at: VirtAddr) -> (u32, String) {
        let Some(layout) = &self.objects else {
            return (0, format!("?{at}"));
        };
        let name = self.named(at, layout.name);
        let field = u64::from(layout.ops.offset);
        let ops = self.kernel.space.read_ptr(at.plus(field));
        let kind = ops.ok().and_then(|ops| self.object_kind(ops));
        (kind.map_or(0, |(kind, _)| kind), name)
    }

    /// The kind of objects that have these ops, and how many bytes each has for itself.
    pub(super) fn object_kind(&self, ops: VirtAddr) -> Option<(u32, u64)> {
        let space = &self.kernel.space;
        let (layout, types) = self.object_ops.as_ref().zip(self.object_types.as_ref())?;
        let record = space.read_bytes(ops, layout.len).ok()?;
        let kind = VirtAddr(layout.kind.get(&record));
        let kind = space.read_bytes(kind, types.len).ok()?;
        let size = layout.size.get(&record);
        Some((types.kind.get(&kind) as u32, size))
    }

    /// `struct nft_verdict`: a code, and 8 bytes on the chain that it leads to.
    pub(super) fn verdict(&self, data: &[u8]) -> Option<Verdict> {
        let code = u32_at(data, 0)?.cast_signed();
        let chain = || Some(self.named(VirtAddr(u64_at(data, 8)?), self.chains.name));
        Some(match code {
            0 => Verdict::Drop,
            1 => Verdict::Accept,
            -1 => Verdict::Continue,
            -2 => Verdict::Break,
            -3 => Verdict::Jump(chain()?),
            -4 => Verdict::Goto(chain()?),
            -5 => Verdict::Return,
            other => Verdict::Other(other),
        })
    }

    /// Packets and bytes of a `struct nft_counter` of each CPU, bytes first in memory in all eras.
    pub(super) fn counter(&self, percpu: VirtAddr) -> Option<(u64, u64)> {
        let mut sum = (0u64, 0u64);
        for (_, at) in self.cpus.as_ref()?.instances(percpu) {
            let both = self.kernel.space.read_bytes(at, 16).ok()?;
            sum.0 = sum.0.wrapping_add(u64_at(&both, 8)?);
            sum.1 = sum.1.wrapping_add(u64_at(&both, 0)?);
        }
        Some(sum)
    }

    /// Packets and bytes of a base chain that counts (`struct nft_stats`): bytes first too.
    pub(super) fn stats(&self, percpu: VirtAddr) -> Option<(u64, u64)> {
        self.counter(percpu)
    }

    /// Of jiffies.
    pub(super) fn milliseconds(&self, jiffies: u64) -> u64 {
        let hz = self.clock.map_or(1000, |clock| clock.hz.max(1));
        (u128::from(jiffies) * 1000 / u128::from(hz)) as u64
    }
}
