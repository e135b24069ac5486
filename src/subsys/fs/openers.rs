//! Who has which inode open: the file descriptors of all processes.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::bytes::{c_string, u64_at};
use crate::kernel::layout::{LayoutError, layout};
use crate::kernel::processes::Processes;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/sched.h
    struct TaskFilesLayout = "task_struct" in "kernel/fork.c" {
        need pid = "pid",
        need comm = "comm",
        need files = "files",
    }
}

layout! {
    /// include/linux/fdtable.h
    struct FilesLayout = "files_struct" in "fs/file.c" {
        need table = "fdt",
    }
}

layout! {
    /// include/linux/fdtable.h
    struct TableLayout = "fdtable" in "fs/file.c" {
        need count = "max_fds",
        need files = "fd",
    }
}

layout! {
    /// include/linux/fs.h
    struct FileLayout = "file" in "fs/file_table.c" {
        need inode = "f_inode",
        need operations = "f_op",
    }
}

/// NR_OPEN: what a process may be allowed at most by default.
const MAX_FILES: u64 = 1 << 20;
/// Of one inode, so many are kept.
const KEPT: usize = 16;

/// A descriptor of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opener {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The number of the descriptor.
    pub fd: u64,
}

/// Openers by inode.
#[derive(Debug, Default)]
pub(crate) struct Openers {
    by_inode: FxHashMap<VirtAddr, Vec<Opener>>,
    /// Inodes of the sockets among them, in the order of processes and descriptors.
    sockets: Vec<VirtAddr>,
    /// Whether all tables could be read.
    pub(crate) complete: bool,
}

impl Openers {
    /// None of a kernel whose types are not all there: of a vmlinux with a part of its debug
    /// information.
    pub(crate) fn read_if_known(kernel: &Kernel) -> Result<Self, KernelError> {
        match Self::read(kernel) {
            Err(KernelError::Layout(error)) if !matches!(error, LayoutError::Types(_)) => {
                let text = format!("who has which files open is not known: {error}");
                kernel.diag.note("openers-unknown", text);
                Ok(Self {
                    complete: true,
                    ..Self::default()
                })
            }
            other => other,
        }
    }

    fn read(kernel: &Kernel) -> Result<Self, KernelError> {
        let task: TaskFilesLayout = kernel.layout()?;
        let reader = TableReader {
            kernel,
            files: kernel.layout()?,
            table: kernel.layout()?,
            file: kernel.layout()?,
            socket: kernel.symbol("socket_file_ops"),
        };
        let processes = Processes::read(kernel)?;
        let mut found = Self {
            complete: processes.complete,
            ..Self::default()
        };
        let mut seen = FxHashSet::default();
        // Threads may have tables of their own.
        for thread in processes.list.iter().flat_map(|process| &process.threads) {
            let Ok(record) = kernel.space.span(*thread, task.len) else {
                found.complete = false;
                continue;
            };
            let files = VirtAddr(task.files.get(&record));
            if files.is_null() || !seen.insert(files) {
                continue;
            }
            let at = task.comm.offset as usize;
            let comm = record.get(at..at + task.comm.size as usize).map(c_string);
            let opener = Opener {
                pid: task.pid.get(&record) as u32,
                comm: comm.unwrap_or_default(),
                fd: 0,
            };
            found.complete &= reader.add(files, &opener, &mut found).is_some();
        }
        Ok(found)
    }

    /// Inodes of all sockets that a process has open.
    pub(crate) fn sockets(&self) -> &[VirtAddr] {
        &self.sockets
    }

    /// Of one inode: the first, by process.
    pub(crate) fn of(&self, inode: VirtAddr) -> Vec<Opener> {
        self.by_inode.get(&inode).cloned().unwrap_or_default()
    }
}

struct TableReader<'k> {
    kernel: &'k Kernel,
    files: FilesLayout,
    table: TableLayout,
    file: FileLayout,
    /// What a file that is a socket points to.
    socket: Option<VirtAddr>,
}

impl TableReader<'_> {
    fn add(&self, files: VirtAddr, opener: &Opener, found: &mut Openers) -> Option<()> {
        let space = &self.kernel.space;
        let table = space
            .read_ptr(files.plus(u64::from(self.files.table.offset)))
            .ok()?;
        let record = space.read_bytes(table, self.table.len).ok()?;
        let count = self.table.count.get(&record).min(MAX_FILES);
        let array = VirtAddr(self.table.files.get(&record));
        let array = space.read_bytes(array, count as usize * 8).ok()?;
        for fd in 0..count {
            // Low bits may be marks of the one who opens it.
            let file = VirtAddr(u64_at(&array, fd as usize * 8)? & !7);
            if file.is_null() {
                continue;
            }
            let record = space.span(file, self.file.len).ok()?;
            let inode = VirtAddr(self.file.inode.get(&record));
            let openers = found.by_inode.entry(inode).or_default();
            let operations = Some(VirtAddr(self.file.operations.get(&record)));
            if openers.is_empty() && self.socket.is_some() && self.socket == operations {
                found.sockets.push(inode);
            }
            if openers.len() < KEPT {
                openers.push(Opener {
                    fd,
                    ..opener.clone()
                });
            }
        }
        Some(())
    }
}
