//! Programs: what they are, and which maps they use.

use serde::Serialize;

use super::{Holder, MapFacts};
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u64_at};
use crate::kernel::layout::layout;
use crate::kernel::{Kernel, KernelError};

layout! {
    /// include/linux/bpf.h; filter.h before 5.20
    struct ProgramLayout = "bpf_prog" in "kernel/bpf/syscall.c" {
        need pages = "pages",
        need kind = "type",
        need instructions = "len",
        need machine_code = "jited_len",
        need aux = "aux",
    }
}

layout! {
    /// include/linux/bpf.h
    struct AuxLayout = "bpf_prog_aux" in "kernel/bpf/syscall.c" {
        need id = "id",
        need maps = "used_maps",
        need maps_count = "used_map_cnt",
        need loaded = "load_time",
        need name = "name",
    }
}

/// `enum bpf_prog_type` (include/uapi/linux/bpf.h) by number.
const KINDS: [&str; 33] = [
    "unspec",
    "socket_filter",
    "kprobe",
    "sched_cls",
    "sched_act",
    "tracepoint",
    "xdp",
    "perf_event",
    "cgroup_skb",
    "cgroup_sock",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sock_ops",
    "sk_skb",
    "cgroup_device",
    "sk_msg",
    "raw_tracepoint",
    "cgroup_sock_addr",
    "lwt_seg6local",
    "lirc_mode2",
    "sk_reuseport",
    "flow_dissector",
    "cgroup_sysctl",
    "raw_tracepoint_writable",
    "cgroup_sockopt",
    "tracing",
    "struct_ops",
    "ext",
    "lsm",
    "sk_lookup",
    "syscall",
    "netfilter",
];

/// The verifier allows 64.
const MAX_MAPS: u64 = 1 << 12;

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProgramFacts {
    /// Its number.
    pub id: u32,
    /// As its maker called it.
    pub name: String,
    /// `xdp`, `kprobe`, as bpftool says.
    pub kind: String,
    /// Instructions after the verifier.
    pub instructions: u32,
    /// Bytes of machine code; 0 if it is interpreted.
    pub machine_code_bytes: u32,
    /// Bytes of its own pages, without the machine code.
    pub bytes: u64,
    /// Nanoseconds after boot at which it was loaded.
    pub loaded_ns: u64,
    /// Numbers of the maps that it uses.
    pub maps: Vec<u32>,
    /// The process that has it open, or the first of several.
    pub open_by: Option<Holder>,
    /// The `struct bpf_prog`.
    pub address: VirtAddr,
}

pub(super) struct Reader<'k> {
    kernel: &'k Kernel,
    program: ProgramLayout,
    aux: AuxLayout,
}

impl<'k> Reader<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            program: kernel.layout()?,
            aux: kernel.layout()?,
            kernel,
        })
    }

    pub(super) fn program(&self, at: VirtAddr, maps: &[MapFacts]) -> Option<ProgramFacts> {
        let space = &self.kernel.space;
        let record = space.read_bytes(at, self.program.len).ok()?;
        let aux = VirtAddr(self.program.aux.get(&record));
        let aux = space.read_bytes(aux, self.aux.struct_size).ok()?;
        let number = self.program.kind.get(&record) as usize;
        let kind = KINDS.get(number);
        let start = self.aux.name.offset as usize;
        let name = aux.get(start..start + self.aux.name.size as usize);
        let count = self.aux.maps_count.get(&aux).min(MAX_MAPS) as usize;
        let used = match count {
            0 => Vec::new(),
            _ => space
                .read_bytes(VirtAddr(self.aux.maps.get(&aux)), count * 8)
                .ok()?,
        };
        let used = (0..count).filter_map(|index| u64_at(&used, index * 8));
        let used = used.filter_map(|at| maps.iter().find(|map| map.address.0 == at));
        Some(ProgramFacts {
            id: self.aux.id.get(&aux) as u32,
            name: name.map(c_string).unwrap_or_default(),
            kind: kind.map_or_else(|| format!("type {number}"), |kind| (*kind).to_owned()),
            instructions: self.program.instructions.get(&record) as u32,
            machine_code_bytes: self.program.machine_code.get(&record) as u32,
            bytes: self.program.pages.get(&record) << self.kernel.dump().page_shift(),
            loaded_ns: self.aux.loaded.get(&aux),
            maps: used.map(|map| map.id).collect(),
            open_by: None,
            address: at,
        })
    }
}
