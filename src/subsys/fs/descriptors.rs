//! The open files of all processes that are no files of a file system: pipes, sockets, rings, maps.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::layout::layout;
use crate::kernel::processes::Processes;
use crate::kernel::{Kernel, KernelError};

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

layout! {
    /// include/linux/fs.h
    struct FileLayout = "file" in "fs/file_table.c" {
        need operations = "f_op",
        need data = "private_data",
    }
}

/// NR_OPEN: what a process may be allowed at most by default.
const MAX_FILES: u64 = 1 << 20;

/// What such a file is, by its `file_operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Pipe,
    Socket,
    IoUring,
    Perf,
    BpfMap,
    BpfProgram,
}

/// `struct file_operations` of each kind.
const OPERATIONS: [(&str, Kind); 7] = [
    ("pipefifo_fops", Kind::Pipe),
    // Of those without a name, 6.15 and later (commit 7e85a7c4ea74).
    ("pipeanon_fops", Kind::Pipe),
    ("socket_file_ops", Kind::Socket),
    ("io_uring_fops", Kind::IoUring),
    ("perf_fops", Kind::Perf),
    ("bpf_map_fops", Kind::BpfMap),
    ("bpf_prog_fops", Kind::BpfProgram),
];

/// One open file, with the first process that has it.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) kind: Kind,
    /// `file.private_data`.
    pub(crate) data: VirtAddr,
    pub(crate) pid: u32,
    pub(crate) comm: String,
}

/// All of them, each once.
pub(crate) fn open(kernel: &Kernel, processes: &Processes) -> Result<Vec<Open>, KernelError> {
    let operations = OPERATIONS
        .iter()
        .filter_map(|(name, kind)| Some((kernel.symbol(name)?, *kind)));
    let reader = Reader {
        kernel,
        operations: operations.collect(),
        task: kernel.layout()?,
        files: kernel.layout()?,
        table: kernel.layout()?,
        file: kernel.layout()?,
    };
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    for thread in processes.list.iter().flat_map(|one| &one.threads) {
        // What can't be read, the address space says.
        reader.of_thread(*thread, &mut seen, &mut found);
    }
    Ok(found)
}

struct Reader<'k> {
    kernel: &'k Kernel,
    operations: FxHashMap<VirtAddr, Kind>,
    task: TaskLayout,
    files: FilesLayout,
    table: TableLayout,
    file: FileLayout,
}

impl Reader<'_> {
    fn of_thread(
        &self,
        thread: VirtAddr,
        seen: &mut FxHashSet<VirtAddr>,
        found: &mut Vec<Open>,
    ) -> Option<()> {
        let space = &self.kernel.space;
        let record = space.span(thread, self.task.len).ok()?;
        let files = VirtAddr(self.task.files.get(&record));
        if files.is_null() || !seen.insert(files) {
            return None;
        }
        let comm = thread.plus(u64::from(self.task.comm.offset));
        let comm = space.read_c_string(comm, self.task.comm.size as usize);
        let comm = comm.unwrap_or_default();
        let pid = self.task.pid.get(&record) as u32;
        let table = files.plus(u64::from(self.files.table.offset));
        let table = space.read_ptr(table).ok()?;
        let record = space.read_bytes(table, self.table.len).ok()?;
        let count = self.table.count.get(&record).min(MAX_FILES) as usize;
        let array = VirtAddr(self.table.files.get(&record));
        let array = space.read_bytes(array, count * 8).ok()?;
        for fd in 0..count {
            // Low bits may be marks of the one who opens it.
            let file = VirtAddr(u64_at(&array, fd * 8)? & !7);
            if file.is_null() || !seen.insert(file) {
                continue;
            }
            let Ok(record) = space.span(file, self.file.len) else {
                continue;
            };
            let operations = VirtAddr(self.file.operations.get(&record));
            if let Some(kind) = self.operations.get(&operations) {
                found.push(Open {
                    kind: *kind,
                    data: VirtAddr(self.file.data.get(&record)),
                    pid,
                    comm: comm.clone(),
                });
            }
        }
        Some(())
    }
}
