//! Names of files: from a dentry up to the root of its file system, and from there to the mount.

use crate::addr::VirtAddr;
use crate::kernel::layout::{LayoutError, layout};
use crate::kernel::{Kernel, KernelError, walk};

layout! {
    /// include/linux/dcache.h
    struct DentryLayout = "dentry" in "fs/dcache.c" {
        need parent = "d_parent",
        need name = "d_name.name",
    }
}

layout! {
    /// fs/mount.h
    struct MountLayout = "mount" in "fs/namespace.c" {
        need parent = "mnt_parent",
        need mountpoint = "mnt_mountpoint",
        need root = "mnt.mnt_root",
        need namespace = "mnt_ns",
        /// On its file system's list, up to 6.16.
        maybe instance = "mnt_instance",
        /// Since 6.17: the next of the file system.
        maybe next = "mnt_next_for_sb",
    }
}

layout! {
    /// include/linux/fs.h
    struct MountsLayout = "super_block" in "fs/namespace.c" | "fs/super.c" {
        need mounts = "s_mounts",
        need root = "s_root",
    }
}

layout! {
    /// include/linux/nsproxy.h
    struct ProxyLayout = "nsproxy" in "kernel/nsproxy.c" {
        need mounts = "mnt_ns",
    }
}

/// MNT_NS_INTERNAL (fs/mount.h) is an error number, as are all from here on: the kernel's own
/// mounts are in no namespace.
const FIRST_ERROR: u64 = u64::MAX - 4094;

/// PATH_MAX, and directories within each other.
const LONGEST: usize = 4 << 10;
const DEEPEST: usize = 512;
/// NAME_MAX.
const NAME: usize = 256;
/// Mounts within each other.
const MOUNTS: usize = 64;
/// Mounts of one file system that are looked at.
const MAX_MOUNTS: u64 = 1 << 16;

fn mount_layout(kernel: &Kernel) -> Result<Option<MountLayout>, KernelError> {
    match kernel.layout() {
        Ok(layout) => Ok(Some(layout)),
        Err(error @ LayoutError::Types(_)) => Err(error.into()),
        Err(error) => {
            let text = format!("where file systems are mounted is not known: {error}");
            kernel.diag.note("mounts-unknown", text);
            Ok(None)
        }
    }
}

/// Finds names.
pub(super) struct Paths<'k> {
    kernel: &'k Kernel,
    dentry: DentryLayout,
    /// `None` where the types lack it: a vmlinux with a part of its debug information.
    mount: Option<MountLayout>,
    mounts: MountsLayout,
    /// The mount namespace of the first process, whose paths people know.
    initial: Option<VirtAddr>,
}

/// That of `init_nsproxy`.
fn initial(kernel: &Kernel) -> Option<VirtAddr> {
    let layout: ProxyLayout = kernel.layout().ok()?;
    let at = kernel.symbol("init_nsproxy")?;
    kernel
        .space
        .read_ptr(at.plus(u64::from(layout.mounts.offset)))
        .ok()
}

impl<'k> Paths<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            dentry: kernel.layout()?,
            mount: mount_layout(kernel)?,
            mounts: kernel.layout()?,
            initial: initial(kernel),
            kernel,
        })
    }

    /// From the root of the file system on; `None` if a part of it can't be read.
    pub(super) fn within(&self, mut dentry: VirtAddr) -> Option<String> {
        let space = &self.kernel.space;
        let (mut names, mut length) = (Vec::new(), 0);
        loop {
            let record = space.span(dentry, self.dentry.len).ok()?;
            let parent = VirtAddr(self.dentry.parent.get(&record));
            if parent == dentry || parent.is_null() {
                break;
            }
            let name = VirtAddr(self.dentry.name.get(&record));
            let name = space.read_c_string(name, NAME).ok()?;
            length += name.len() + 1;
            if names.len() >= DEEPEST || length > LONGEST {
                return None;
            }
            names.push(name);
            dentry = parent;
        }
        names.reverse();
        Some(format!("/{}", names.join("/")))
    }

    /// The name of a dentry that is its own parent: of a socket, a pipe, a memfd.
    pub(super) fn own_name(&self, dentry: VirtAddr) -> Option<String> {
        let space = &self.kernel.space;
        let record = space.span(dentry, self.dentry.len).ok()?;
        space
            .read_c_string(VirtAddr(self.dentry.name.get(&record)), NAME)
            .ok()
    }

    /// Where the root of a file system is mounted: in the first process's namespace, else in
    /// whatever comes first; `None` if it is mounted nowhere, as the kernel's own are.
    pub(super) fn mount_point(&self, super_block: VirtAddr) -> Option<String> {
        let (space, layout) = (&self.kernel.space, self.mount.as_ref()?);
        let record = space.span(super_block, self.mounts.len).ok()?;
        let root = VirtAddr(self.mounts.root.get(&record));
        let first = VirtAddr(self.mounts.mounts.get(&record));
        let mounts = self.mounts_of(layout, super_block, first);
        let namespace = |mount: VirtAddr| {
            let record = space.span(mount, layout.len).ok()?;
            let namespace = layout.namespace.get(&record);
            let whole = VirtAddr(layout.root.get(&record)) == root;
            let known = namespace != 0 && namespace < FIRST_ERROR;
            (known && whole).then_some(VirtAddr(namespace))
        };
        let (own, others): (Vec<_>, Vec<_>) = mounts
            .into_iter()
            .filter_map(|mount| Some((mount, namespace(mount)?)))
            .partition(|(_, namespace)| Some(*namespace) == self.initial);
        let mut all = own.into_iter().chain(others);
        all.find_map(|(mount, _)| self.path_of_mount(layout, mount))
    }

    fn mounts_of(
        &self,
        layout: &MountLayout,
        super_block: VirtAddr,
        first: VirtAddr,
    ) -> Vec<VirtAddr> {
        let space = &self.kernel.space;
        match (&layout.instance, &layout.next) {
            (Some(instance), _) => {
                let head = super_block.plus(u64::from(self.mounts.mounts.offset));
                let links = walk::list(space, head, MAX_MOUNTS).value.into_iter();
                links
                    .map(|link| link.minus(u64::from(instance.offset)))
                    .collect()
            }
            (None, Some(next)) => {
                let (mut found, mut at) = (Vec::new(), first);
                while !at.is_null() && (found.len() as u64) < MAX_MOUNTS {
                    found.push(at);
                    at = space
                        .read_ptr(at.plus(u64::from(next.offset)))
                        .unwrap_or(VirtAddr(0));
                }
                found
            }
            (None, None) => Vec::new(),
        }
    }

    fn path_of_mount(&self, layout: &MountLayout, mut mount: VirtAddr) -> Option<String> {
        let mut parts = Vec::new();
        for _ in 0..MOUNTS {
            let record = self.kernel.space.span(mount, layout.len).ok()?;
            let parent = VirtAddr(layout.parent.get(&record));
            if parent == mount || parent.is_null() {
                parts.reverse();
                let path: String = parts.concat();
                return Some(if path.is_empty() {
                    "/".to_owned()
                } else {
                    path
                });
            }
            let part = self.within(VirtAddr(layout.mountpoint.get(&record)))?;
            parts.push(if part == "/" { String::new() } else { part });
            mount = parent;
        }
        None
    }
}
