//! Whose the kernel's own pages are, by the structures that hold them: pipes, sockets, rings.
//!
//! Layer: subsys. Input: a [`Kernel`] and the slab heap. Output: [`Claims`]: owners with names
//! that people know, and the places of their pages. Invariants: a claim is made by the word that
//! the kernel itself would follow to the page; what can't be read is claimed by nobody, and said.

mod block;
mod packets;
mod page_pools;
mod percpu;
mod pipes;
mod rings;
mod sockets;
mod tables;
mod tracing;

use serde::Serialize;

pub(crate) use self::page_pools::PoolClaim;
use self::pipes::Pipes;
use self::rings::Rings;
use self::sockets::Sockets;
use crate::addr::{Pfn, VirtAddr};
use crate::kernel::layout::LayoutError;
use crate::kernel::memmap::Memmap;
use crate::kernel::processes::Processes;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::bpf;
use crate::subsys::fs::descriptors::{self, Kind};
use crate::subsys::mm::slab::BulkPages;

/// Whose pages are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Owner {
    /// What holds them: `pipe`, `socket`, `packet_ring`.
    pub kind: &'static str,
    /// Which one, in words: `TCP write queue`, a map's name; empty if there is only one.
    pub name: String,
    /// The process that has it open.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
}

impl Owner {
    /// In one line: `pipe of cat (pid 12)`.
    pub fn describe(&self) -> String {
        let kind = self.kind.replace('_', " ");
        let mut text = match self.name.is_empty() {
            true => kind,
            false => format!("{kind} {}", self.name),
        };
        if let Some(comm) = &self.comm {
            text = format!("{text} of {comm}");
        }
        match self.pid {
            Some(pid) => format!("{text} (pid {pid})"),
            None => text,
        }
    }

    /// One that no process has.
    pub(crate) fn of_kernel(kind: &'static str, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            pid: None,
            comm: None,
        }
    }
}

/// Memory that somebody owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// An address of it (of the direct map or of vmalloc), or that of a page's structure.
    pub at: VirtAddr,
    /// How many pages from there on; 0 for all that was taken with the first.
    pub pages: u64,
    /// The owner, by number.
    pub owner: u32,
    /// Taken with kmalloc(): if it is pages, a counter of large kmalloc has them, too.
    pub kmalloc: bool,
}

/// All that is claimed. Of two claims of one page the first counts.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// By number.
    pub owners: Vec<Owner>,
    /// In the order in which they count.
    pub claims: Vec<Claim>,
    /// Owners of page tables, and how many pages of tables each has, marked as such or not.
    pub tables: Vec<(u32, u64)>,
    /// Pages whose own structures say whose they are, with the owner: that keeps them from nothing,
    /// and whoever else points to them had them from this owner.
    pub by_structure: Vec<(Pfn, u32)>,
    /// Pools of pages for packets; `None` if they are not known.
    pub(crate) page_pools: Option<Vec<PoolClaim>>,
    /// Structures that this kernel's types don't describe, in words.
    pub unknown: Vec<String>,
}

/// What all known structures hold; `bulk` are the pages that kfree_rcu() fills and keeps, `pools`
/// those that say they are of a page pool, where pages say it. What this kernel's types don't describe is
/// left out, and told.
///
/// # Errors
/// If the kernel's types can't be read.
pub fn claims(
    kernel: &Kernel,
    memmap: &Memmap,
    bulk: &BulkPages,
    pools: Option<&[(Pfn, VirtAddr)]>,
) -> Result<Claims, KernelError> {
    let mut claims = Claims::default();
    let processes = Processes::read(kernel)?;
    let mut unknown = Vec::new();
    let mut known = |what: &str, result: Result<(), KernelError>| match result {
        Err(KernelError::Layout(error)) if !matches!(error, LayoutError::Types(_)) => {
            unknown.push(format!(
                "the pages of {what} are told only by what points to them: {error}"
            ));
            Ok(())
        }
        other => other,
    };
    known(
        "page tables",
        tables::claim(kernel, &processes, &mut claims),
    )?;
    known("per-CPU variables", percpu::claim(kernel, &mut claims))?;
    known("open files", of_files(kernel, &processes, &mut claims))?;
    known("BPF", of_bpf(kernel, &processes, &mut claims))?;
    known("block devices", block::claim(kernel, memmap, &mut claims))?;
    known("function tracing", tracing::claim(kernel, &mut claims))?;
    known("page pools", page_pools::claim(kernel, pools, &mut claims))?;
    let owner = claims.owner(Owner::of_kernel("kfree_rcu", "pages of pointers"));
    for page in bulk.in_use.iter().chain(&bulk.spare) {
        claims.block(owner, *page);
    }
    claims.unknown = unknown;
    Ok(claims)
}

fn of_bpf(kernel: &Kernel, processes: &Processes, claims: &mut Claims) -> Result<(), KernelError> {
    for map in bpf::collect(kernel, processes, None)?.maps {
        let (pid, comm) = map.open_by.map(|by| (by.pid, by.comm)).unzip();
        let name = match map.name.is_empty() {
            true => format!("number {}", map.id),
            false => map.name,
        };
        let owner = claims.owner(Owner {
            kind: "bpf_map",
            name: format!("{name} ({})", map.kind),
            pid,
            comm,
        });
        for place in map.places.iter().chain([&map.address]) {
            // Of kmalloc() if it is small, else of vmalloc (`bpf_map_area_alloc`).
            claims.kmalloc(owner, *place);
        }
    }
    Ok(())
}

fn of_files(
    kernel: &Kernel,
    processes: &Processes,
    claims: &mut Claims,
) -> Result<(), KernelError> {
    let pipes = Pipes::new(kernel)?;
    let sockets = Sockets::new(kernel)?;
    let rings = Rings::new(kernel);
    for open in descriptors::open(kernel, processes)? {
        // What can't be read, the address space says.
        match open.kind {
            Kind::Pipe => pipes.claim(&open, claims),
            Kind::Socket => sockets.claim(&open, claims),
            Kind::IoUring => rings.io_uring(&open, claims),
            Kind::Perf => rings.perf(&open, claims),
            Kind::BpfMap | Kind::BpfProgram => None,
        };
    }
    Ok(())
}

impl Claims {
    /// Adds an owner, and gives its number.
    pub(crate) fn owner(&mut self, owner: Owner) -> u32 {
        self.owners.push(owner);
        self.owners.len() as u32 - 1
    }

    /// Claims the page at `at` with all that was taken with it.
    pub(crate) fn block(&mut self, owner: u32, at: VirtAddr) {
        self.pages(owner, at, 0);
    }

    /// Claims so many pages from `at` on.
    pub(crate) fn pages(&mut self, owner: u32, at: VirtAddr, pages: u64) {
        self.add(Claim {
            at,
            pages,
            owner,
            kmalloc: false,
        });
    }

    /// Claims what was taken with kmalloc(), if that is pages.
    pub(crate) fn kmalloc(&mut self, owner: u32, at: VirtAddr) {
        self.add(Claim {
            at,
            pages: 0,
            owner,
            kmalloc: true,
        });
    }

    fn add(&mut self, claim: Claim) {
        if !claim.at.is_null() {
            self.claims.push(claim);
        }
    }
}
