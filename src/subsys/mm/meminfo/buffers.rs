//! Pages cached of block devices: /proc/meminfo's `Buffers` (`nr_blockdev_pages`).

use super::reader::Reader;
use crate::addr::VirtAddr;
use crate::kernel::KernelError;
use crate::kernel::layout::{Field, layout};
use crate::kernel::walk;

/// More block devices than any machine has.
const MAX_DEVICES: u64 = 1 << 20;

layout! {
    /// include/linux/fs.h
    struct SuperLayout = "super_block" in "block/bdev.c" | "fs/block_dev.c" {
        need inodes = "s_inodes",
    }
}

layout! {
    /// include/linux/fs.h
    struct InodeLayout = "inode" in "block/bdev.c" | "fs/block_dev.c" {
        need sb_list = "i_sb_list",
        need mapping = "i_mapping",
    }
}

layout! {
    /// include/linux/fs.h
    struct MappingLayout = "address_space" in "block/bdev.c" | "fs/block_dev.c" {
        need nrpages = "nrpages",
    }
}

layout! {
    /// include/linux/fs.h, up to 5.8.
    struct DeviceLayout = "block_device" in "fs/block_dev.c" {
        need list = "bd_list",
        need inode = "bd_inode",
    }
}

/// The pages; `None` if they can't be counted.
pub(super) fn pages(reader: &Reader<'_>) -> Result<Option<u64>, KernelError> {
    let kernel = reader.kernel;
    const WHAT: &str = "the cache of block devices";
    let (Some(inode), Some(mapping)) = (
        reader.layout::<InodeLayout>(WHAT)?,
        reader.layout::<MappingLayout>(WHAT)?,
    ) else {
        return Ok(None);
    };
    let (head, inode_of) = match kernel.symbol("all_bdevs") {
        Some(head) => {
            let Some(device) = reader.layout(WHAT)? else {
                return Ok(None);
            };
            (head, Link::Device(device))
        }
        None => {
            let Some(block) = reader.long("blockdev_superblock") else {
                return Ok(None);
            };
            let Some(layout) = reader.layout::<SuperLayout>(WHAT)? else {
                return Ok(None);
            };
            let inodes = u64::from(layout.inodes.offset);
            (VirtAddr(block).plus(inodes), Link::Inode(inode.sb_list))
        }
    };
    let devices = walk::list(&kernel.space, head, MAX_DEVICES);
    if !devices.end.is_complete() {
        reader.lose("the list of block devices");
        return Ok(None);
    }
    let mut sum = 0u64;
    for link in devices.value {
        let space = &kernel.space;
        let pages = inode_of.inode(reader, link).and_then(|at| {
            let mapping_at = space.read_ptr(at.plus(u64::from(inode.mapping.offset)))?;
            space.read_u64(mapping_at.plus(u64::from(mapping.nrpages.offset)))
        });
        let Some(pages) = reader.keep("the cache of a block device", pages) else {
            return Ok(None);
        };
        sum = sum.saturating_add(pages);
    }
    Ok(Some(sum))
}

/// What is linked on the list.
enum Link {
    Inode(Field),
    Device(DeviceLayout),
}

impl Link {
    fn inode(
        &self,
        reader: &Reader<'_>,
        link: VirtAddr,
    ) -> Result<VirtAddr, crate::space::MemFault> {
        match self {
            Link::Inode(sb_list) => Ok(link.minus(u64::from(sb_list.offset))),
            Link::Device(layout) => {
                let device = link.minus(u64::from(layout.list.offset));
                let inode = device.plus(u64::from(layout.inode.offset));
                reader.kernel.space.read_ptr(inode)
            }
        }
    }
}
