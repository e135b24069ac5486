//! Tables of file descriptors: which process has which file open, and under which number.
//!
//! Input: processes. Output: [`Table`]s, each once, with the first thread that has it. Threads may
//! have tables of their own. Invariant: a table that can't be read is told as such.

use rustc_hash::FxHashSet;

use crate::addr::VirtAddr;
use crate::bytes::{c_string, u64_at};
use crate::kernel::Kernel;
use crate::kernel::layout::{LayoutError, layout};
use crate::kernel::processes::Processes;

layout! {
    /// include/linux/sched.h
    struct TaskLayout = "task_struct" in "kernel/fork.c" {
        need pid = "tgid",
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

/// NR_OPEN: what a process may be allowed at most by default.
const MAX_FILES: u64 = 1 << 20;

/// What one process has open.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The process.
    pub(super) pid: u32,
    /// The name of its thread.
    pub(super) comm: String,
    /// Numbers of descriptors with the `struct file` of each.
    pub(super) files: Vec<(u64, VirtAddr)>,
}

/// Reads them.
#[derive(Debug)]
pub(super) struct Tables<'k> {
    kernel: &'k Kernel,
    task: TaskLayout,
    files: FilesLayout,
    table: TableLayout,
}

impl<'k> Tables<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, LayoutError> {
        Ok(Self {
            kernel,
            task: kernel.layout()?,
            files: kernel.layout()?,
            table: kernel.layout()?,
        })
    }

    /// Each table; `None` for one that can't be read.
    pub(super) fn of<'a>(
        &'a self,
        processes: &'a Processes,
    ) -> impl Iterator<Item = Option<Table>> + 'a {
        let mut seen = FxHashSet::default();
        let threads = processes.list.iter().flat_map(|one| &one.threads);
        threads.filter_map(move |thread| {
            let Ok(record) = self.kernel.space.span(*thread, self.task.len) else {
                return Some(None);
            };
            let files = VirtAddr(self.task.files.get(&record));
            if files.is_null() || !seen.insert(files) {
                return None;
            }
            let at = self.task.comm.offset as usize;
            let comm = record.get(at..at + self.task.comm.size as usize);
            Some(self.files(files).map(|files| Table {
                pid: self.task.pid.get(&record) as u32,
                comm: comm.map(c_string).unwrap_or_default(),
                files,
            }))
        })
    }

    fn files(&self, files: VirtAddr) -> Option<Vec<(u64, VirtAddr)>> {
        let space = &self.kernel.space;
        let table = files.plus(u64::from(self.files.table.offset));
        let record = space.read_bytes(space.read_ptr(table).ok()?, self.table.len);
        let record = record.ok()?;
        let count = self.table.count.get(&record).min(MAX_FILES);
        let array = VirtAddr(self.table.files.get(&record));
        let array = space.read_bytes(array, count as usize * 8).ok()?;
        let files = (0..count).filter_map(|fd| {
            // Low bits may be marks of the one who opens it.
            let file = VirtAddr(u64_at(&array, fd as usize * 8)? & !7);
            (!file.is_null()).then_some((fd, file))
        });
        Some(files.collect())
    }
}
