//! Unix sockets (net/unix/af_unix.c).

use super::facts::UnixFacts;
use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::layout::layout;

layout! {
    /// include/net/af_unix.h
    pub(super) struct UnixLayout = "unix_sock" in "net/unix/af_unix.c" {
        need addr = "addr",
        need peer = "peer",
        /// 5.10 and later (commit 3c32da19a858).
        maybe fds = "scm_stat.nr_fds.counter" | "scm_stat.nr_fds",
    }
}

layout! {
    /// include/net/af_unix.h
    pub(super) struct UnixAddressLayout = "unix_address" in "net/unix/af_unix.c" {
        need bytes = "len",
        need name = "name",
    }
}

/// The family before the path.
const FAMILY: usize = 2;
/// With the family, no address is longer (sizeof(struct sockaddr_un)).
const MAX_ADDRESS: u64 = 110;

pub(super) struct UnixReader {
    pub(super) socket: UnixLayout,
    pub(super) address: UnixAddressLayout,
}

impl UnixReader {
    /// `None` if its memory is missing. The peer's inode is filled in when all are known.
    pub(super) fn read(&self, kernel: &Kernel, at: VirtAddr) -> Option<UnixFacts> {
        let record = kernel.space.span(at, self.socket.len).ok()?;
        let peer = VirtAddr(self.socket.peer.get(&record));
        let address = VirtAddr(self.socket.addr.get(&record));
        let name = match address.is_null() {
            true => None,
            false => Some(self.name(kernel, address)?),
        };
        Some(UnixFacts {
            name,
            peer: (!peer.is_null()).then_some(peer),
            peer_inode: None,
            fds_in_flight: self.socket.fds.map(|field| field.get(&record)),
        })
    }

    /// As unix_seq_show() prints it.
    fn name(&self, kernel: &Kernel, at: VirtAddr) -> Option<String> {
        let layout = &self.address;
        let head = kernel.space.span(at, layout.bytes.end()).ok()?;
        let len = layout.bytes.get(&head).min(MAX_ADDRESS) as usize;
        let name = at.plus(u64::from(layout.name.offset));
        let bytes = kernel.space.read_bytes(name, len).ok()?;
        let path = bytes.get(FAMILY..)?;
        let text = match path.first() {
            Some(0) => {
                let rest = path.iter().skip(1);
                let rest = rest.map(|byte| if *byte == 0 { b'@' } else { *byte });
                std::iter::once(b'@').chain(rest).collect::<Vec<u8>>()
            }
            // It ends with a null byte.
            _ => path.strip_suffix(&[0]).unwrap_or(path).to_vec(),
        };
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}
