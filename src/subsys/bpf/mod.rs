//! BPF maps and programs (kernel/bpf): what each holds, and who has it.
//!
//! Layer: subsys. Input: the kernel's two numberings (`map_idr`, `prog_idr`) and the open files.
//! Output: [`BpfFacts`]. Invariants: what can't be read costs itself and is said; sizes that a
//! structure does not tell are not made up.

mod maps;
mod programs;

use serde::Serialize;

pub use self::maps::MapFacts;
pub use self::programs::ProgramFacts;
use crate::addr::VirtAddr;
use crate::kernel::layout::layout;
use crate::kernel::processes::Processes;
use crate::kernel::walk::{idr, xarray};
use crate::kernel::{Kernel, KernelError};
use crate::subsys::fs::descriptors::{self, Kind, Open};
use crate::subsys::mm::vmalloc::VmallocFacts;

layout! {
    /// include/linux/idr.h
    struct IdrLayout = "idr" in "kernel/bpf/syscall.c" {
        /// Layers of another kind in RHEL 7.
        maybe head = "idr_rt.xa_head",
    }
}

/// More than a machine ever has of either.
const MAX: usize = 1 << 20;

/// A process that has a map or a program open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its name.
    pub comm: String,
}

/// All maps and programs.
#[derive(Clone, Debug, Default)]
pub struct BpfFacts {
    /// By number.
    pub maps: Vec<MapFacts>,
    /// By number.
    pub programs: Vec<ProgramFacts>,
    /// Whether none is missing.
    pub complete: bool,
}

/// Reads them. `areas` tell how much memory those have that lie in vmalloc.
///
/// # Errors
/// If the kernel's types don't describe them. A kernel without BPF has none.
pub fn collect(
    kernel: &Kernel,
    processes: &Processes,
    areas: Option<&VmallocFacts>,
) -> Result<BpfFacts, KernelError> {
    let mut facts = BpfFacts {
        complete: processes.complete,
        ..BpfFacts::default()
    };
    let open = descriptors::open(kernel, processes)?;
    let holder = |kind, at| holder(&open, kind, at);
    let (maps, whole) = numbered(kernel, "map_idr")?;
    facts.complete &= whole;
    if !maps.is_empty() {
        let reader = maps::Reader::new(kernel, areas)?;
        for at in maps {
            match reader.map(at) {
                Some(mut map) => {
                    map.open_by = holder(Kind::BpfMap, at);
                    facts.maps.push(map);
                }
                None => facts.complete = false,
            }
        }
    }
    let (programs, whole) = numbered(kernel, "prog_idr")?;
    facts.complete &= whole;
    if !programs.is_empty() {
        let reader = programs::Reader::new(kernel)?;
        for at in programs {
            match reader.program(at, &facts.maps) {
                Some(mut program) => {
                    program.open_by = holder(Kind::BpfProgram, at);
                    facts.programs.push(program);
                }
                None => facts.complete = false,
            }
        }
    }
    for map in &mut facts.maps {
        let of = facts.programs.iter();
        let of = of.filter(|program| program.maps.contains(&map.id));
        map.programs = of.map(|program| program.id).collect();
    }
    Ok(facts)
}

/// Maps with `least` elements that were made one by one, or more, with who has them open.
///
/// # Errors
/// As [`collect`].
pub fn with_elements(kernel: &Kernel, least: u64) -> Result<Vec<MapFacts>, KernelError> {
    let (maps, _) = numbered(kernel, "map_idr")?;
    if maps.is_empty() {
        return Ok(Vec::new());
    }
    let reader = maps::Reader::new(kernel, None)?;
    let maps = maps.into_iter().filter_map(|at| reader.map(at));
    let large = |map: &MapFacts| map.elements.is_some_and(|elements| elements >= least);
    let mut maps: Vec<MapFacts> = maps.filter(large).collect();
    if !maps.is_empty() {
        let open = descriptors::open(kernel, &Processes::read(kernel)?)?;
        for map in &mut maps {
            map.open_by = holder(&open, Kind::BpfMap, map.address);
        }
    }
    Ok(maps)
}

fn holder(open: &[Open], kind: Kind, at: VirtAddr) -> Option<Holder> {
    let of = open
        .iter()
        .find(|open| (open.kind, open.data) == (kind, at));
    of.map(|open| Holder {
        pid: open.pid,
        comm: open.comm.clone(),
    })
}

/// What one numbering holds, and whether all of it.
fn numbered(kernel: &Kernel, name: &'static str) -> Result<(Vec<VirtAddr>, bool), KernelError> {
    let Some(at) = kernel.symbol(name) else {
        return Ok((Vec::new(), true));
    };
    let layout: IdrLayout = kernel.layout()?;
    let found = match layout.head {
        Some(head) => xarray::pointers(kernel, at.plus(u64::from(head.offset)), MAX)?,
        None => idr::layered(kernel, at, MAX)?,
    };
    if !found.end.is_complete() {
        let text = format!(
            "the numbering {name} of BPF {}: what is behind is missing; take the dump with kernel pages included",
            found.end.describe()
        );
        kernel.diag.warn("bpf-incomplete", text);
    }
    let whole = found.end.is_complete();
    Ok((found.value.into_iter().map(|(_, at)| at).collect(), whole))
}
