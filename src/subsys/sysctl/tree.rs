//! The files below /proc/sys: the trees of directories, and which of them a reader sees.
//!
//! A directory is a red-black tree of `ctl_node`s by name. The n-th node of a header belongs
//! to the n-th entry of its table (fs/proc/proc_sysctl.c), so no table's length is needed.
//! Files that differ between namespaces are in sets of their own; the default set has
//! symbolic links in their place, which say nothing that the sets don't.
//! Invariants: no directory is entered twice, none is deeper than [`MAX_DEPTH`].

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::layouts::{
    CtlNodeLayout, DirLayout, HeaderLayout, IpcLayout, NetLayout, PidNamespaceLayout, RootLayout,
    TableLayout, UserLayout,
};
use crate::addr::VirtAddr;
use crate::kernel::layout::{Field, Layout};
use crate::kernel::{Kernel, KernelError, namespaces, walk};
use crate::space::MemFault;

/// More entries than one directory has: ten thousand interfaces with one each.
const MAX_ENTRIES: usize = 1 << 20;
/// The deepest known is six (kernel.sched_domain, net.ipv4.conf).
const MAX_DEPTH: usize = 16;
const MAX_NAME: usize = 256;
/// The longest tables have some 200 entries.
const MAX_INDEX: u64 = 1 << 16;

/// File types of a mode (include/uapi/linux/stat.h).
const TYPE: u64 = 0o170_000;
const DIRECTORY: u64 = 0o040_000;
const LINK: u64 = 0o120_000;

/// A network namespace with sysctls of its own.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Address of its `struct net`.
    pub address: VirtAddr,
    /// `ns.inum`: the number of /proc/PID/ns/net.
    pub inum: u32,
    /// Whether it is the initial one.
    pub initial: bool,
    dir: VirtAddr,
}

/// One file: the members of its `ctl_table`.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) name: String,
    pub(super) table: VirtAddr,
    pub(super) data: VirtAddr,
    pub(super) maxlen: usize,
    pub(super) mode: u16,
    pub(super) handler: VirtAddr,
    pub(super) extra1: u64,
    pub(super) extra2: VirtAddr,
    pub(super) net: Option<Network>,
}

impl Leaf {
    /// The file's own name.
    pub(super) fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// The files that are seen.
#[derive(Debug)]
pub(super) struct Forest {
    pub(super) leaves: Vec<Leaf>,
    pub(super) complete: bool,
}

/// By the path's parts with a NUL between them, which orders them as the kernel does.
type Tree = BTreeMap<String, Leaf>;

/// Reads the trees. One wanted network namespace is seen as from within: with all that is the same
/// for all of them. Of several, that comes once, with the initial one.
///
/// # Errors
/// If the kernel's types don't describe the trees, or it has no sysctls.
pub(super) fn read(
    kernel: &Kernel,
    wanted: &dyn Fn(&Network) -> bool,
) -> Result<Forest, KernelError> {
    let root: RootLayout = kernel.layout()?;
    let mut walker = Walker::new(kernel)?;
    let networks: Vec<Network> = walker
        .networks()?
        .into_iter()
        .filter(|n| wanted(n))
        .collect();
    let mut tree = Tree::new();
    let default = kernel.need_symbol("sysctl_table_root")?;
    walker.walk(default.plus(u64::from(root.dir.offset)), None, &mut tree);
    for dir in initial_sets(kernel) {
        walker.walk(dir, None, &mut tree);
    }
    let first = networks.iter().position(|n| n.initial).unwrap_or(0);
    if let Some(network) = networks.get(first) {
        walker.walk(network.dir, Some(*network), &mut tree);
    }
    let mut leaves: Vec<Leaf> = tree.into_values().collect();
    for (_, network) in networks.iter().enumerate().filter(|(n, _)| *n != first) {
        let mut own = Tree::new();
        walker.walk(network.dir, Some(*network), &mut own);
        leaves.extend(own.into_values());
    }
    walker.warn();
    Ok(Forest {
        leaves,
        complete: walker.lost == 0,
    })
}

/// Directories of the initial user, IPC and PID namespaces, where they have some.
fn initial_sets(kernel: &Kernel) -> Vec<VirtAddr> {
    fn layout<L: Layout>(kernel: &Kernel) -> Option<L> {
        kernel.layout().ok()
    }
    let user = layout(kernel).and_then(|l: UserLayout| l.dir);
    let ipc = layout(kernel).map(|l: IpcLayout| (l.ipc, l.mq));
    let (ipc, mq) = ipc.unwrap_or_default();
    let pid = layout(kernel).and_then(|l: PidNamespaceLayout| l.dir);
    let at = |name: &str, field: Option<Field>| {
        Some(kernel.symbol(name)?.plus(u64::from(field?.offset)))
    };
    [
        at("init_user_ns", user),
        at("init_ipc_ns", ipc),
        at("init_ipc_ns", mq),
        at("init_pid_ns", pid),
    ]
    .into_iter()
    .flatten()
    .collect()
}

struct Walker<'k> {
    kernel: &'k Kernel,
    table: TableLayout,
    header: HeaderLayout,
    node: CtlNodeLayout,
    dir: DirLayout,
    net: NetLayout,
    entered: FxHashSet<VirtAddr>,
    lost: u64,
}

impl<'k> Walker<'k> {
    fn new(kernel: &'k Kernel) -> Result<Self, KernelError> {
        Ok(Self {
            kernel,
            table: kernel.layout()?,
            header: kernel.layout()?,
            node: kernel.layout()?,
            dir: kernel.layout()?,
            net: kernel.layout()?,
            entered: FxHashSet::default(),
            lost: 0,
        })
    }

    fn networks(&mut self) -> Result<Vec<Network>, KernelError> {
        let networks = namespaces::of_networks(self.kernel)?;
        self.lost += u64::from(!networks.complete);
        let all = networks.all.into_iter().map(|network| Network {
            address: network.address,
            inum: network.inum,
            initial: network.initial,
            dir: network.address.plus(u64::from(self.net.dir.offset)),
        });
        Ok(all.collect())
    }

    fn warn(&self) {
        if self.lost > 0 {
            self.kernel.diag.warn_many(
                "sysctl-tree",
                "parts of the sysctl trees are damaged or not in the dump: names below them are missing; take the dump with kernel pages included, and to its end",
                self.lost,
            );
        }
    }

    /// Adds the files below `dir`; those of a later set replace what the default set has.
    fn walk(&mut self, dir: VirtAddr, net: Option<Network>, tree: &mut Tree) {
        let mut todo = vec![(dir, String::new(), 0)];
        while let Some((dir, path, depth)) = todo.pop() {
            if depth > MAX_DEPTH || !self.entered.insert(dir) {
                self.lost += 1;
                continue;
            }
            let root = dir.plus(u64::from(self.dir.root.offset));
            let nodes = walk::rbtree(&self.kernel.space, root, MAX_ENTRIES);
            self.lost += u64::from(!nodes.end.is_complete());
            let mut headers = FxHashMap::default();
            for node in nodes.value {
                match self.one(node, &path, net, &mut headers) {
                    Ok(Found::File(path, leaf)) => {
                        tree.insert(path, *leaf);
                    }
                    Ok(Found::Directory(path, dir)) => todo.push((dir, path, depth + 1)),
                    Ok(Found::Other) => {}
                    Err(_) => self.lost += 1,
                }
            }
        }
    }

    fn one(
        &self,
        rb: VirtAddr,
        path: &str,
        net: Option<Network>,
        headers: &mut FxHashMap<VirtAddr, (VirtAddr, VirtAddr)>,
    ) -> Result<Found, Damage> {
        let space = &self.kernel.space;
        let node = rb.minus(u64::from(self.node.node.offset));
        let header = space.read_ptr(node.plus(u64::from(self.node.header.offset)))?;
        let (table, first) = match headers.get(&header) {
            Some(known) => *known,
            None => *headers.entry(header).or_insert(self.header(header)?),
        };
        // It is being unregistered: the kernel leaves it out too.
        if table.is_null() {
            return Ok(Found::Other);
        }
        let size = self.node.struct_size as u64;
        let within = node.offset_from(first).ok_or(Damage)?;
        let index = within.checked_div(size).ok_or(Damage)?;
        if within % size != 0 || index > MAX_INDEX {
            return Err(Damage);
        }
        let layout = &self.table;
        let table = table.plus(index * layout.struct_size as u64);
        let record = space.read_bytes(table, layout.len)?;
        let own = VirtAddr(layout.procname.get(&record));
        let own = space.read_c_string(own, MAX_NAME)?;
        let path = match path {
            "" => own,
            above => format!("{above}\0{own}"),
        };
        let mode = layout.mode.get(&record);
        Ok(match mode & TYPE {
            LINK => Found::Other,
            DIRECTORY => Found::Directory(path, header),
            _ => {
                let leaf = Leaf {
                    name: path.replace('.', "/").replace('\0', "."),
                    table,
                    data: VirtAddr(layout.data.get(&record)),
                    maxlen: (layout.maxlen.get(&record) as u32).min(i32::MAX as u32) as usize,
                    mode: mode as u16,
                    handler: VirtAddr(layout.handler.get(&record)),
                    extra1: layout.extra1.get(&record),
                    extra2: VirtAddr(layout.extra2.get(&record)),
                    net,
                };
                Found::File(path, Box::new(leaf))
            }
        })
    }

    /// A header's table and first node; a null table if it is being unregistered.
    fn header(&self, header: VirtAddr) -> Result<(VirtAddr, VirtAddr), Damage> {
        let layout = &self.header;
        let record = self.kernel.space.read_bytes(header, layout.len)?;
        let table = match layout.unregistering.get(&record) {
            0 => layout.table.get(&record),
            _ => 0,
        };
        Ok((VirtAddr(table), VirtAddr(layout.node.get(&record))))
    }
}

/// What a node stands for.
enum Found {
    File(String, Box<Leaf>),
    Directory(String, VirtAddr),
    Other,
}

/// A node that can't be followed.
struct Damage;

impl From<MemFault> for Damage {
    fn from(_: MemFault) -> Self {
        Damage
    }
}
