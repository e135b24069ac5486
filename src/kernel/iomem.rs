//! The tree of physical addresses (kernel/resource.c): where RAM is, and what was set apart of it.

use super::layout::layout;
use super::{Kernel, KernelError};
use crate::addr::{PhysAddr, VirtAddr};
use crate::partial::{End, Partial};

layout! {
    /// include/linux/ioport.h
    struct ResourceLayout = "resource" in "kernel/resource.c" {
        need start = "start",
        need end = "end",
        need name = "name",
        need sibling = "sibling",
        need child = "child",
    }
}

/// More than machines with thousands of devices have.
const MAX_RESOURCES: usize = 1 << 18;
/// Names are of a few words.
const MAX_NAME: usize = 128;

/// One range, as a line of /proc/iomem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// First address.
    pub start: PhysAddr,
    /// One past the last.
    pub end: PhysAddr,
    /// `System RAM`, `Crash kernel`, `Kernel code`; empty if it can't be read.
    pub name: String,
    /// How many ranges it lies in.
    pub depth: u32,
}

/// All ranges, in the order of /proc/iomem.
///
/// # Errors
/// If the kernel's types or symbols don't have them.
pub fn resources(kernel: &Kernel) -> Result<Partial<Vec<Resource>>, KernelError> {
    let layout: ResourceLayout = kernel.layout()?;
    let root = kernel.need_symbol("iomem_resource")?;
    let space = &kernel.space;
    let mut found = Vec::new();
    let first = space.read_ptr(root.plus(u64::from(layout.child.offset)));
    let mut end = match first {
        Ok(_) => End::Complete,
        Err(_) => End::Fault,
    };
    let mut open = vec![(first.unwrap_or_default(), 0)];
    while let Some((at, depth)) = open.pop() {
        if at.is_null() {
            continue;
        }
        if found.len() >= MAX_RESOURCES {
            end = End::Limit;
            break;
        }
        let Ok(record) = space.read_bytes(at, layout.len) else {
            end = End::Fault;
            continue;
        };
        let name = VirtAddr(layout.name.get(&record));
        open.push((VirtAddr(layout.sibling.get(&record)), depth));
        open.push((VirtAddr(layout.child.get(&record)), depth + 1));
        found.push(Resource {
            start: PhysAddr(layout.start.get(&record)),
            end: PhysAddr(layout.end.get(&record).saturating_add(1)),
            name: space.read_c_string(name, MAX_NAME).unwrap_or_else(|_| {
                end = End::Fault;
                String::new()
            }),
            depth,
        });
    }
    let seen = found.len() as u64;
    Ok(Partial::new(found, end, seen))
}
