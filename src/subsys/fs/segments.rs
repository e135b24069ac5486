//! Segments of shared memory by System V (ipc/shm.c): files without a name in any directory, which
//! stay until somebody removes them, whether or not a process has them attached.

use rustc_hash::FxHashSet;
use serde::Serialize;

use super::{InodeLayout, ShmemLayout};
use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, LayoutError, layout};
use crate::kernel::processes::Processes;
use crate::kernel::walk::{idr, xarray};
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/ipc_namespace.h
    struct NamespaceLayout = "ipc_namespace" in "ipc/util.c" {
        need ids = "ids",
        /// `proc_inum` up to 3.18.
        need inum = "ns.inum" | "proc_inum",
    }
}

layout! {
    /// include/linux/ipc_namespace.h
    struct IdsLayout = "ipc_ids" in "ipc/util.c" {
        need idr = "ipcs_idr",
        /// Layers up to 4.10.
        maybe head = "ipcs_idr.idr_rt.xa_head",
    }
}

layout! {
    /// ipc/shm.c
    struct SegmentLayout = "shmid_kernel" in "ipc/shm.c" {
        need id = "shm_perm.id",
        need key = "shm_perm.key",
        need uid = "shm_perm.uid",
        need mode = "shm_perm.mode",
        need file = "shm_file",
        need attached = "shm_nattch",
        need size = "shm_segsz",
        need created = "shm_ctim",
        /// A `struct pid`; a number up to 4.16 (commit 98f929b1bd4d).
        need creator = "shm_cprid",
        need last = "shm_lprid",
    }
}

layout! {
    /// include/linux/pid.h
    struct PidLayout = "pid" in "kernel/pid.c" {
        /// The first is that of the initial namespace, which begins with the number.
        need numbers = "numbers",
    }
}

layout! {
    /// include/linux/fs.h
    struct FileLayout = "file" in "ipc/shm.c" | "fs/file_table.c" {
        need inode = "f_inode",
    }
}

layout! {
    /// include/linux/sched.h
    struct TaskLayout = "task_struct" in "kernel/fork.c" {
        need nsproxy = "nsproxy",
    }
}

layout! {
    /// include/linux/nsproxy.h
    struct ProxyLayout = "nsproxy" in "kernel/nsproxy.c" {
        need ipc = "ipc_ns",
    }
}

/// IPC_SHM_IDS, of so many.
const SHM: u64 = 2;
const KINDS: u64 = 3;
/// IPCMNI_EXTEND.
const MAX_SEGMENTS: usize = 1 << 24;
/// SHM_DEST: it goes with the last who has it attached.
const REMOVED: u64 = 0o1000;

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SegmentFacts {
    /// The number of its IPC namespace.
    pub ipc_namespace: u64,
    /// As `ipcs -m` shows it.
    pub shmid: u64,
    /// What processes find it by; 0 is a private one.
    pub key: String,
    /// Of its owner.
    pub uid: u64,
    /// Who may do what, in octal.
    pub permissions: String,
    /// Its length.
    pub size: u64,
    /// Bytes of it in RAM.
    pub cached_bytes: u64,
    /// Swapped out.
    pub swapped_bytes: u64,
    /// How many have it attached. With none, nobody gives it back.
    pub attached: u64,
    /// The process that made it, in the initial namespace; `None` if that has no number any more.
    pub creator_pid: Option<u32>,
    /// The last to attach or detach it.
    pub last_pid: Option<u32>,
    /// When it was made or last changed, in seconds since 1970.
    pub changed: u64,
    /// Whether it was removed: it goes with the last who has it attached.
    pub removed: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Segments {
    /// Those with the most in RAM first.
    pub(super) list: Vec<SegmentFacts>,
    pub(super) complete: bool,
}

impl Segments {
    /// None of a kernel without CONFIG_SYSVIPC, or whose types are not all there, which is noted.
    pub(super) fn read_if_known(kernel: &Kernel) -> Result<Self, KernelError> {
        match Self::read(kernel) {
            Err(KernelError::Layout(error)) if !matches!(error, LayoutError::Types(_)) => {
                // Without CONFIG_SYSVIPC there is no such structure.
                if !matches!(error, LayoutError::NoStruct("shmid_kernel")) {
                    let text = format!("segments of shared memory are not known: {error}");
                    kernel.diag.note("segments-unknown", text);
                }
                Ok(Self {
                    complete: true,
                    ..Self::default()
                })
            }
            other => other,
        }
    }

    fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let Some(initial) = kernel.symbol("init_ipc_ns") else {
            return Ok(Self {
                complete: true,
                ..Self::default()
            });
        };
        let reader = Reader::new(kernel)?;
        let (others, complete) = reader.namespaces()?;
        let mut found = Self {
            list: Vec::new(),
            complete,
        };
        let mut seen = FxHashSet::default();
        for namespace in [initial].into_iter().chain(others) {
            if seen.insert(namespace) && reader.namespace(namespace, &mut found)?.is_none() {
                found.complete = false;
            }
        }
        found
            .list
            .sort_by_key(|one| std::cmp::Reverse((one.cached_bytes, one.shmid)));
        Ok(found)
    }
}

struct Reader<'k> {
    kernel: &'k Kernel,
    namespace: NamespaceLayout,
    ids: IdsLayout,
    segment: SegmentLayout,
    pid: PidLayout,
    file: FileLayout,
    task: TaskLayout,
    proxy: ProxyLayout,
    inode: InodeLayout,
    shmem: Option<ShmemLayout>,
    page: u64,
}

impl<'k> Reader<'k> {
    fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            namespace: kernel.layout()?,
            ids: kernel.layout()?,
            segment: kernel.layout()?,
            pid: kernel.layout()?,
            file: kernel.layout()?,
            task: kernel.layout()?,
            proxy: kernel.layout()?,
            inode: kernel.layout()?,
            shmem: kernel.layout().ok(),
            page: kernel.dump().page_size() as u64,
            kernel,
        })
    }

    /// Those that processes are in, and whether all processes were seen.
    fn namespaces(&self) -> Result<(Vec<VirtAddr>, bool), KernelError> {
        let space = &self.kernel.space;
        let processes = Processes::read(self.kernel)?;
        let mut complete = processes.complete;
        let (mut proxies, mut found) = (FxHashSet::default(), Vec::new());
        for task in processes.list.iter().flat_map(|one| &one.threads) {
            let at = task.plus(u64::from(self.task.nsproxy.offset));
            match space.read_ptr(at) {
                // It has exited.
                Ok(proxy) if proxy.is_null() || !proxies.insert(proxy) => {}
                Ok(proxy) => match space.read_ptr(proxy.plus(u64::from(self.proxy.ipc.offset))) {
                    Ok(namespace) => found.push(namespace),
                    Err(_) => complete = false,
                },
                Err(_) => complete = false,
            }
        }
        Ok((found, complete))
    }

    fn namespace(&self, at: VirtAddr, found: &mut Segments) -> Result<Option<()>, KernelError> {
        let inum = at.plus(u64::from(self.namespace.inum.offset));
        let Ok(inum) = self.kernel.space.read_u32(inum) else {
            return Ok(None);
        };
        let ids = u64::from(self.namespace.ids.size) / KINDS * SHM;
        let ids = at.plus(u64::from(self.namespace.ids.offset) + ids);
        let segments = match self.ids.head {
            Some(head) => {
                let head = ids.plus(u64::from(head.offset));
                xarray::pointers(self.kernel, head, MAX_SEGMENTS)?
            }
            None => {
                let idr = ids.plus(u64::from(self.ids.idr.offset));
                idr::layered(self.kernel, idr, MAX_SEGMENTS)?
            }
        };
        found.complete &= segments.end.is_complete();
        for (_, segment) in segments.value {
            match self.segment(segment, inum.into()) {
                Some(segment) => found.list.push(segment),
                None => found.complete = false,
            }
        }
        Ok(Some(()))
    }

    fn segment(&self, at: VirtAddr, ipc_namespace: u64) -> Option<SegmentFacts> {
        let layout = &self.segment;
        let record = self.kernel.space.read_bytes(at, layout.len).ok()?;
        let of = |field: &Field| field.get(&record);
        let file = VirtAddr(of(&layout.file));
        let inode = file.plus(u64::from(self.file.inode.offset));
        let inode = self.kernel.space.read_ptr(inode).ok()?;
        let (pages, swapped) = self.pages(inode)?;
        let mode = of(&layout.mode);
        Some(SegmentFacts {
            ipc_namespace,
            shmid: of(&layout.id),
            key: format!("{:#010x}", of(&layout.key)),
            uid: of(&layout.uid),
            permissions: format!("{:o}", mode & 0o777),
            size: of(&layout.size),
            cached_bytes: pages.saturating_mul(self.page),
            swapped_bytes: swapped.saturating_mul(self.page),
            attached: of(&layout.attached),
            creator_pid: self.number(&layout.creator, &record)?,
            last_pid: self.number(&layout.last, &record)?,
            changed: of(&layout.created),
            removed: mode & REMOVED != 0,
        })
    }

    fn pages(&self, inode: VirtAddr) -> Option<(u64, u64)> {
        let space = &self.kernel.space;
        let record = space.span(inode, self.inode.len).ok()?;
        let swapped = match &self.shmem {
            Some(shmem) => shmem.swapped_of(self.kernel, inode)?,
            None => 0,
        };
        Some((self.inode.pages.get(&record), swapped))
    }

    /// `Some(None)` if nobody has that number any more.
    fn number(&self, field: &Field, record: &[u8]) -> Option<Option<u32>> {
        let value = field.get(record);
        if field.size == 4 || value == 0 {
            return Some((value != 0).then_some(value as u32));
        }
        let at = VirtAddr(value).plus(u64::from(self.pid.numbers.offset));
        let number = self.kernel.space.read_u32(at).ok()?;
        Some(Some(number))
    }
}
