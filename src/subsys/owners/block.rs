//! Requests of block devices, which are made when a queue is (block/blk-mq.c).

use rustc_hash::FxHashSet;

use super::{Claims, Owner};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::memmap::Memmap;
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/linux/fs.h
    struct SuperLayout = "super_block" in "fs/super.c" {
        need inodes = "s_inodes",
    }
}

layout! {
    /// include/linux/fs.h
    struct InodeLinkLayout = "inode" in "fs/inode.c" {
        need link = "i_sb_list",
    }
}

layout! {
    /// block/bdev.c; fs/block_dev.c before 5.15
    struct BlockDeviceLayout = "bdev_inode" in "block/bdev.c" | "fs/block_dev.c" {
        need inode = "vfs_inode",
        need disk = "bdev.bd_disk",
    }
}

layout! {
    /// include/linux/blkdev.h
    struct DiskLayout = "gendisk" in "block/genhd.c" {
        need queue = "queue",
        need name = "disk_name",
    }
}

layout! {
    /// include/linux/device/class.h
    struct ClassLayout = "class" in "block/genhd.c" {
        /// Up to 6.3.
        maybe private = "p",
    }
}

layout! {
    /// drivers/base/base.h
    struct PrivateLayout = "subsys_private" in "drivers/base/class.c" {
        need devices = "klist_devices.k_list",
    }
}

layout! {
    /// include/linux/device.h, up to 5.0: in `device_private` since.
    struct DeviceNodeLayout = "device" in "drivers/base/class.c" {
        maybe node = "knode_class.n_node",
    }
}

layout! {
    /// drivers/base/base.h
    struct DevicePrivateLayout = "device_private" in "drivers/base/class.c" {
        maybe node = "knode_class.n_node",
        need device = "device",
    }
}

layout! {
    /// include/linux/genhd.h, up to 5.10: what a disk and each partition of it is.
    struct PartLayout = "hd_struct" in "block/genhd.c" {
        need device = "__dev",
    }
}

layout! {
    /// include/linux/genhd.h, up to 5.10
    struct DiskPartLayout = "gendisk" in "block/genhd.c" {
        need part = "part0",
    }
}

layout! {
    /// include/linux/blkdev.h
    struct QueueLayout = "request_queue" in "block/blk-mq.c" {
        need set = "tag_set",
    }
}

layout! {
    /// include/linux/blk-mq.h
    struct SetLayout = "blk_mq_tag_set" in "block/blk-mq.c" {
        need queues = "nr_hw_queues",
        need tags = "tags",
    }
}

layout! {
    /// block/blk-mq-tag.h; include/linux/blk-mq.h since 6.4
    struct TagsLayout = "blk_mq_tags" in "block/blk-mq.c" {
        need pages = "page_list",
    }
}

layout! {
    /// include/linux/mm_types.h
    struct LinkedPageLayout = "page" in "mm/slub.c" | "mm/slab.c" {
        need lru = "lru",
    }
}

const MAX_DEVICES: u64 = 1 << 20;
const MAX_QUEUES: u64 = 1 << 16;
const MAX_BLOCKS: u64 = 1 << 20;

/// Those of all devices.
pub(super) fn claim(
    kernel: &Kernel,
    memmap: &Memmap,
    claims: &mut Claims,
) -> Result<(), KernelError> {
    // A pointer to the file system that block devices are in.
    let Some(root) = kernel.u64_of("blockdev_superblock").value() else {
        return Ok(());
    };
    let (of_super, inode): (SuperLayout, InodeLinkLayout) = (kernel.layout()?, kernel.layout()?);
    let reader = Reader {
        kernel,
        memmap,
        device: kernel.layout()?,
        disk: kernel.layout()?,
        queue: kernel.layout()?,
        set: kernel.layout()?,
        tags: kernel.layout()?,
        page: kernel.layout()?,
    };
    let head = VirtAddr(root).plus(u64::from(of_super.inodes.offset));
    let link = u64::from(inode.link.offset);
    let mut seen = FxHashSet::default();
    for disk in disks_of_class(kernel) {
        reader.disk(disk, &mut seen, claims);
    }
    for at in walk::list(&kernel.space, head, MAX_DEVICES).value {
        let inode = at.minus(link);
        reader.device(
            inode.minus(u64::from(reader.device.inode.offset)),
            &mut seen,
            claims,
        );
    }
    Ok(())
}

struct Reader<'k> {
    kernel: &'k Kernel,
    memmap: &'k Memmap,
    device: BlockDeviceLayout,
    disk: DiskLayout,
    queue: QueueLayout,
    set: SetLayout,
    tags: TagsLayout,
    page: LinkedPageLayout,
}

impl Reader<'_> {
    fn device(
        &self,
        at: VirtAddr,
        seen: &mut FxHashSet<VirtAddr>,
        claims: &mut Claims,
    ) -> Option<()> {
        let disk = at.plus(u64::from(self.device.disk.offset));
        let disk = self.kernel.space.read_ptr(disk).ok()?;
        self.disk(disk, seen, claims)
    }

    fn disk(
        &self,
        disk: VirtAddr,
        seen: &mut FxHashSet<VirtAddr>,
        claims: &mut Claims,
    ) -> Option<()> {
        let space = &self.kernel.space;
        let follow = |at: VirtAddr, offset: u32| {
            let next = space.read_ptr(at.plus(u64::from(offset))).ok()?;
            (!next.is_null()).then_some(next)
        };
        let queue = follow(disk, self.disk.queue.offset)?;
        let set = follow(queue, self.queue.set.offset)?;
        if !seen.insert(set) {
            return None;
        }
        let name = disk.plus(u64::from(self.disk.name.offset));
        let name = space.read_c_string(name, self.disk.name.size as usize);
        let owner = claims.owner(Owner::of_kernel("block_requests", name.unwrap_or_default()));
        let record = space.read_bytes(set, self.set.len).ok()?;
        let count = self.set.queues.get(&record).min(MAX_QUEUES) as usize;
        let tags = space
            .read_bytes(VirtAddr(self.set.tags.get(&record)), count * 8)
            .ok()?;
        for queue in 0..count {
            let tags = VirtAddr(u64_at(&tags, queue * 8)?);
            if !tags.is_null() {
                let head = tags.plus(u64::from(self.tags.pages.offset));
                for link in walk::list(space, head, MAX_BLOCKS).value {
                    let page = link.minus(u64::from(self.page.lru.offset));
                    if self.memmap.pfn_of(page).is_some() {
                        claims.block(owner, page);
                    }
                }
            }
        }
        Some(())
    }
}

/// Before 5.11 (commit 22ae8ce8b892) a device knows its disk only while it is open: the disks are
/// found by the class that all are of.
fn disks_of_class(kernel: &Kernel) -> Vec<VirtAddr> {
    let disks = || -> Option<Vec<VirtAddr>> {
        let part: PartLayout = kernel.layout().ok()?;
        let (disk, class): (DiskPartLayout, ClassLayout) =
            (kernel.layout().ok()?, kernel.layout().ok()?);
        let (private, device): (PrivateLayout, DevicePrivateLayout) =
            (kernel.layout().ok()?, kernel.layout().ok()?);
        let old: DeviceNodeLayout = kernel.layout().ok()?;
        let space = &kernel.space;
        let at = kernel.symbol("block_class")?;
        let at = space.read_ptr(at.plus(u64::from(class.private?.offset)));
        let head = at.ok()?.plus(u64::from(private.devices.offset));
        let links = walk::list(space, head, MAX_DEVICES).value;
        let devices = links.iter().filter_map(|link| {
            let Some(node) = device.node else {
                return Some(link.minus(u64::from(old.node?.offset)));
            };
            let at = link.minus(u64::from(node.offset));
            let device = at.plus(u64::from(device.device.offset));
            space.read_ptr(device).ok()
        });
        let within = u64::from(part.device.offset) + u64::from(disk.part.offset);
        Some(devices.map(|device| device.minus(within)).collect())
    };
    disks().unwrap_or_default()
}
