//! The `obj_cgroup`s of a memory cgroup: in their name objects of slab caches are charged.

use super::layouts::{MemcgLayout, MemcgNodeLayout, ObjcgLayout};
use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, Layout, LayoutError};
use crate::kernel::{Kernel, KernelError, cpus, walk};

/// Those of every cgroup that was removed go to the one above.
const MAX_INHERITED: u64 = 1 << 20;

/// What is known of a cgroup's own and those that it inherited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Objcgs {
    pub(super) own: u64,
    pub(super) inherited: u64,
    pub(super) charged: u64,
}

/// Reads them.
#[derive(Debug)]
pub(super) struct ObjcgReader<'k> {
    kernel: &'k Kernel,
    objcg: ObjcgLayout,
    /// Since 7.1 they are by node.
    node: Option<MemcgNodeLayout>,
    nodes: usize,
}

impl<'k> ObjcgReader<'k> {
    /// `None` before 5.9.
    pub(super) fn new(
        kernel: &'k Kernel,
        memcg: &MemcgLayout,
    ) -> Result<Option<Self>, KernelError> {
        let Some(objcg) = optional(kernel)? else {
            return Ok(None);
        };
        let node: Option<MemcgNodeLayout> = match memcg.objcg {
            Some(_) => None,
            None => optional(kernel)?.filter(|node: &MemcgNodeLayout| node.objcg.is_some()),
        };
        if memcg.objcg.is_none() && node.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            kernel,
            objcg,
            node,
            nodes: cpus::node_count(kernel),
        }))
    }

    /// `None` if some can't be read. `record` are the bytes of the cgroup at `at`.
    pub(super) fn read(&self, memcg: &MemcgLayout, at: VirtAddr, record: &[u8]) -> Option<Objcgs> {
        let mut found = Objcgs::default();
        let Some(node) = &self.node else {
            self.add(&mut found, at, record, memcg.objcg, memcg.objcg_list)?;
            return Some(found);
        };
        for index in 0..self.nodes {
            let place = u64::from(memcg.nodes.offset) + index as u64 * 8;
            let node_at = self.kernel.space.read_ptr(at.plus(place)).ok()?;
            if node_at.is_null() {
                continue;
            }
            let record = self.kernel.space.read_bytes(node_at, node.len).ok()?;
            self.add(&mut found, node_at, &record, node.objcg, node.objcg_list)?;
        }
        Some(found)
    }

    fn add(
        &self,
        found: &mut Objcgs,
        at: VirtAddr,
        record: &[u8],
        own: Option<Field>,
        list: Option<Field>,
    ) -> Option<()> {
        let own = own.map(|field| VirtAddr(field.get(record)));
        if let Some(own) = own.filter(|own| !own.is_null()) {
            found.own += 1;
            found.charged += self.charged(own)?;
        }
        if let Some(list) = list {
            let head = at.plus(u64::from(list.offset));
            let links = walk::list(&self.kernel.space, head, MAX_INHERITED);
            if !links.end.is_complete() {
                return None;
            }
            for link in links.value {
                found.inherited += 1;
                found.charged += self.charged(link.minus(u64::from(self.objcg.list.offset)))?;
            }
        }
        Some(())
    }

    fn charged(&self, objcg: VirtAddr) -> Option<u64> {
        let at = objcg.plus(u64::from(self.objcg.charged.offset));
        let charged = self.kernel.space.read_u32(at).ok()?;
        Some(u64::try_from(charged.cast_signed()).unwrap_or(0))
    }
}

/// A layout that may not resolve, but not for damaged types.
fn optional<L: Layout>(kernel: &Kernel) -> Result<Option<L>, KernelError> {
    match kernel.layout() {
        Ok(layout) => Ok(Some(layout)),
        Err(LayoutError::Types(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
