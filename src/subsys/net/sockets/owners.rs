//! Who has a socket: its inode, and the processes that have that open.

use super::facts::Holder;
use super::layouts::{InodeLayout, SocketInodeLayout};
use crate::addr::VirtAddr;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::fs::{Opener, Openers};

/// What a socket's `struct socket` tells.
#[derive(Clone, Debug)]
pub(super) struct Owned {
    pub(super) inode: u64,
    pub(super) uid: u64,
    pub(super) held_by: Holder,
    pub(super) owners: Vec<Opener>,
}

pub(super) struct Owners<'k> {
    kernel: &'k Kernel,
    socket: SocketInodeLayout,
    inode: InodeLayout,
    openers: Openers,
}

impl<'k> Owners<'k> {
    pub(super) fn read(kernel: &'k Kernel) -> Result<Self, KernelError> {
        let openers = Openers::read_if_known(kernel)?;
        if !openers.complete {
            kernel.diag.warn(
                "openers-incomplete",
                "not all tables of descriptors can be read: processes that have a socket may be missing",
            );
        }
        Ok(Self {
            kernel,
            socket: kernel.layout()?,
            inode: kernel.layout()?,
            openers,
        })
    }

    pub(super) fn complete(&self) -> bool {
        self.openers.complete
    }

    /// The `struct sock` of every socket that a process has open, as far as they can be read.
    pub(super) fn sockets(&self) -> impl Iterator<Item = VirtAddr> + '_ {
        let inode = u64::from(self.socket.inode.offset);
        let of = move |at: &VirtAddr| {
            let sk = at.minus(inode).plus(u64::from(self.socket.sk.offset));
            self.kernel.space.read_ptr(sk).ok()
        };
        let all = self.openers.sockets().iter().filter_map(of);
        all.filter(|at| !at.is_null())
    }

    /// Of the `struct socket` at an address; `None` if its memory is missing.
    pub(super) fn of(&self, socket: VirtAddr) -> Option<Owned> {
        let at = socket.plus(u64::from(self.socket.inode.offset));
        let space = &self.kernel.space;
        let record = space.span(socket, self.socket.file.end()).ok()?;
        let inode = space.span(at, self.inode.len).ok()?;
        let owners = self.openers.of(at);
        let has_file = self.socket.file.get(&record) != 0;
        Some(Owned {
            inode: self.inode.number.get(&inode),
            uid: self.inode.uid.get(&inode),
            held_by: match (owners.is_empty(), has_file) {
                (false, _) => Holder::Process,
                (true, false) => Holder::Kernel,
                (true, true) if self.openers.complete => Holder::NoProcess,
                (true, true) => Holder::Unknown,
            },
            owners,
        })
    }
}
