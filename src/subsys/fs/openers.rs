//! Who has which inode open: the file descriptors of all processes.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::tables::{Table, Tables};
use crate::addr::VirtAddr;
use crate::kernel::layout::{LayoutError, layout};
use crate::kernel::processes::Processes;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/fs.h
    struct FileLayout = "file" in "fs/file_table.c" {
        need inode = "f_inode",
        need operations = "f_op",
    }
}

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
        let reader = Reader {
            kernel,
            file: kernel.layout()?,
            socket: kernel.symbol("socket_file_ops"),
        };
        let tables = Tables::new(kernel)?;
        let processes = Processes::read(kernel)?;
        let mut found = Self {
            complete: processes.complete,
            ..Self::default()
        };
        for table in tables.of(&processes) {
            let whole = table.and_then(|table| reader.add(&table, &mut found));
            found.complete &= whole.is_some();
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

struct Reader<'k> {
    kernel: &'k Kernel,
    file: FileLayout,
    /// What a file that is a socket points to.
    socket: Option<VirtAddr>,
}

impl Reader<'_> {
    /// Takes what a table holds; `None` where not all could be read.
    fn add(&self, table: &Table, found: &mut Openers) -> Option<()> {
        for (fd, file) in &table.files {
            let record = self.kernel.space.span(*file, self.file.len).ok()?;
            let inode = VirtAddr(self.file.inode.get(&record));
            let openers = found.by_inode.entry(inode).or_default();
            let operations = Some(VirtAddr(self.file.operations.get(&record)));
            if openers.is_empty() && self.socket.is_some() && self.socket == operations {
                found.sockets.push(inode);
            }
            if openers.len() < KEPT {
                openers.push(Opener {
                    pid: table.pid,
                    comm: table.comm.clone(),
                    fd: *fd,
                });
            }
        }
        Some(())
    }
}
