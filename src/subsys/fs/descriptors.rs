//! The open files of all processes that are no files of a file system: pipes, sockets, rings, maps.

use rustc_hash::{FxHashMap, FxHashSet};

use super::tables::Tables;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::processes::Processes;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/fs.h
    struct FileLayout = "file" in "fs/file_table.c" {
        need operations = "f_op",
        need data = "private_data",
    }
}

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

/// All of them, each once. What can't be read, the address space says.
pub(crate) fn open(kernel: &Kernel, processes: &Processes) -> Result<Vec<Open>, KernelError> {
    let operations = OPERATIONS
        .iter()
        .filter_map(|(name, kind)| Some((kernel.symbol(name)?, *kind)));
    let operations: FxHashMap<VirtAddr, Kind> = operations.collect();
    let layout: FileLayout = kernel.layout()?;
    let tables = Tables::new(kernel)?;
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    for table in tables.of(processes).flatten() {
        for (_, file) in table.files {
            if !seen.insert(file) {
                continue;
            }
            let Ok(record) = kernel.space.span(file, layout.len) else {
                continue;
            };
            if let Some(kind) = operations.get(&VirtAddr(layout.operations.get(&record))) {
                found.push(Open {
                    kind: *kind,
                    data: VirtAddr(layout.data.get(&record)),
                    pid: table.pid,
                    comm: table.comm.clone(),
                });
            }
        }
    }
    Ok(found)
}
