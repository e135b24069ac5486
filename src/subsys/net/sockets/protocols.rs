//! Protocols, as /proc/net/protocols lists them (`struct proto`, net/core/sock.c).

use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::{Field, layout};
use crate::kernel::percpu_counter::PercpuCounter;

layout! {
    /// include/net/sock.h
    pub(super) struct ProtocolCountersLayout = "proto" in "net/core/sock.c" {
        need node = "node",
        need name = "name",
        need obj_size = "obj_size",
        need slab = "slab",
        need owner = "owner",
        need max_header = "max_header",
        need memory_allocated = "memory_allocated",
        need memory_pressure = "memory_pressure",
        need sockets_allocated = "sockets_allocated",
        maybe limits = "sysctl_mem",
        /// With CONFIG_PROC_FS.
        maybe index = "inuse_idx",
        need close = "close",
        need connect = "connect",
        need disconnect = "disconnect",
        need accept = "accept",
        need ioctl = "ioctl",
        need init = "init",
        need destroy = "destroy",
        need shutdown = "shutdown",
        need setsockopt = "setsockopt",
        need getsockopt = "getsockopt",
        need sendmsg = "sendmsg",
        need recvmsg = "recvmsg",
        /// Up to 6.4 (commit dc97391e6610).
        maybe sendpage = "sendpage",
        need bind = "bind",
        need backlog_rcv = "backlog_rcv",
        need hash = "hash",
        need unhash = "unhash",
        need get_port = "get_port",
        need enter_memory_pressure = "enter_memory_pressure",
    }
}

layout! {
    /// include/linux/module.h
    pub(super) struct ModuleNameLayout = "module" in "kernel/module/main.c" | "kernel/module.c" {
        need name = "name",
    }
}

/// One `struct proto`.
#[derive(Clone, Debug, Serialize)]
pub struct ProtocolFacts {
    /// Its name, `TCP`.
    pub name: String,
    /// Bytes of a socket.
    pub object_bytes: u64,
    /// Pages that all its sockets are charged for, less what CPUs took and did not hand over;
    /// `None` where it counts none.
    pub memory_pages: Option<i64>,
    /// Whether it is short of memory; `None` where it does not tell.
    pub pressure: Option<bool>,
    /// When pressure ends, when it begins, and the most: pages, by the sysctl.
    pub limits_pages: Option<[u64; 3]>,
    /// Sockets that were made and are not gone, where it counts them.
    pub allocated: Option<u64>,
    /// Room for headers.
    pub max_header: u64,
    /// Whether its sockets have a cache of their own.
    pub slab: bool,
    /// The module; `None`: the kernel.
    pub module: Option<String>,
    /// What it implements, in the order of /proc/net/protocols.
    #[serde(skip)]
    pub functions: Vec<bool>,
    /// Its number among the counters of namespaces.
    #[serde(skip)]
    pub index: Option<usize>,
}

pub(super) struct ProtocolReader<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) cpus: &'k Cpus,
    pub(super) layout: &'k ProtocolCountersLayout,
    pub(super) module: ModuleNameLayout,
    pub(super) counter: PercpuCounter,
}

impl ProtocolReader<'_> {
    pub(super) fn one(&self, at: VirtAddr) -> Option<ProtocolFacts> {
        let space = &self.kernel.space;
        let layout = self.layout;
        let record = space.read_bytes(at, layout.len).ok()?;
        let target = |field: Field| Some(VirtAddr(field.get(&record))).filter(|at| !at.is_null());
        let number = |field: Field| target(field).and_then(|at| space.read_u64(at).ok());
        let limits = layout.limits.and_then(target).and_then(|at| {
            let one = |index: u64| space.read_u64(at.plus(index * 8)).ok();
            Some([one(0)?, one(1)?, one(2)?])
        });
        let allocated = target(layout.sockets_allocated);
        let allocated = allocated.and_then(|at| self.counter.sum(self.kernel, self.cpus, at).ok());
        let pressure = target(layout.memory_pressure).and_then(|at| space.read_u32(at).ok());
        let module = target(layout.owner).and_then(|at| {
            let name = at.plus(u64::from(self.module.name.offset));
            space.read_c_string(name, 56).ok()
        });
        let name = at.plus(u64::from(layout.name.offset));
        Some(ProtocolFacts {
            name: space.read_c_string(name, 32).ok()?,
            object_bytes: layout.obj_size.get(&record),
            memory_pages: number(layout.memory_allocated).map(u64::cast_signed),
            pressure: pressure.map(|word| word != 0),
            limits_pages: limits,
            allocated: allocated.map(|sum| u64::try_from(sum).unwrap_or(0)),
            max_header: layout.max_header.get(&record),
            slab: target(layout.slab).is_some(),
            module,
            functions: self.functions(&record),
            index: layout.index.map(|field| field.get(&record) as usize),
        })
    }

    fn functions(&self, record: &[u8]) -> Vec<bool> {
        let of = self.layout;
        let all = [
            Some(of.close),
            Some(of.connect),
            Some(of.disconnect),
            Some(of.accept),
            Some(of.ioctl),
            Some(of.init),
            Some(of.destroy),
            Some(of.shutdown),
            Some(of.setsockopt),
            Some(of.getsockopt),
            Some(of.sendmsg),
            Some(of.recvmsg),
            of.sendpage,
            Some(of.bind),
            Some(of.backlog_rcv),
            Some(of.hash),
            Some(of.unhash),
            Some(of.get_port),
            Some(of.enter_memory_pressure),
        ];
        let all = all.into_iter().flatten();
        all.map(|field| field.get(record) != 0).collect()
    }
}
