//! Memory allocation profiling: what each place in the code has allocated and not freed
//! (lib/alloc_tag.c, lib/codetag.c; 6.10 and later).
//!
//! Layer: subsys. Input: the ranges of tags, the kernel's own and its modules', and the counters
//! that every CPU keeps of each. Output: [`AllocFacts`] in the order of /proc/allocinfo.
//! Invariant: a tag whose counters can't be read has none; it is never 0 for that.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::addr::VirtAddr;
use crate::kernel::cpus::Cpus;
use crate::kernel::layout::layout;
use crate::kernel::literals::{self, Literal};
use crate::kernel::walk::xarray;
use crate::kernel::{Kernel, KernelError};

/// The kernel's own range and one a module.
const MAX_RANGES: usize = 1 << 16;
/// Places that allocate: some 10,000 in a big kernel.
const MAX_TAGS: u64 = 1 << 20;
/// Of a file's or function's name.
const MAX_NAME: usize = 512;
/// CODETAG_FLAG_INACCURATE (include/linux/codetag.h, 6.18 and later); the word was unused before.
const INACCURATE: u64 = 1 << 0;
/// What /proc/allocinfo begins with, up to the number.
const HEADER: &str = "allocinfo - version: ";
/// The version of 6.10 to 6.17.
const FIRST_VERSION: &str = "1.0";

layout! {
    /// include/linux/alloc_tag.h
    struct AllocTagLayout = "alloc_tag" in "lib/alloc_tag.c" {
        need flags = "ct.flags",
        need line = "ct.lineno",
        need module = "ct.modname",
        need function = "ct.function",
        need file = "ct.filename",
        need counters = "counters",
    }
}

layout! {
    /// include/linux/alloc_tag.h
    struct AllocCountersLayout = "alloc_tag_counters" in "lib/alloc_tag.c" {
        need bytes = "bytes",
        need calls = "calls",
    }
}

layout! {
    /// lib/codetag.c
    struct CodetagTypeLayout = "codetag_type" in "lib/codetag.c" {
        need count = "count",
        need ranges = "mod_idr.idr_rt.xa_head",
        need tag_size = "desc.tag_size",
    }
}

layout! {
    /// lib/codetag.c
    struct CodetagModuleLayout = "codetag_module" in "lib/codetag.c" {
        need start = "range.start",
        need stop = "range.stop",
    }
}

/// What one place in the code has allocated and not freed.
#[derive(Clone, Debug, Serialize)]
pub struct AllocSite {
    /// Source file, as it was built.
    pub file: String,
    /// Line in it.
    pub line: u64,
    /// The function.
    pub function: String,
    /// The module; `None` in the kernel itself.
    pub module: Option<String>,
    /// Bytes, all CPUs summed: negative where more was freed than counted. `None` if the dump lacks
    /// a counter.
    pub bytes: Option<i64>,
    /// Allocations.
    pub calls: Option<u64>,
    /// Whether the kernel missed none of them (since 6.18 it tells).
    pub accurate: bool,
    /// Address of the `struct alloc_tag`.
    pub address: VirtAddr,
}

/// All of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AllocFacts {
    /// In the order of /proc/allocinfo.
    pub sites: Vec<AllocSite>,
    /// Whether the kernel was counting at the crash; `None` if the dump does not tell.
    pub enabled: Option<bool>,
    /// Of /proc/allocinfo: `1.0`, `2.0`.
    pub version: String,
    /// Whether all sites and counters could be read.
    pub complete: bool,
}

/// Reads all sites.
///
/// # Errors
/// If the kernel does no memory allocation profiling, or its types don't describe it.
pub fn collect(kernel: &Kernel) -> Result<AllocFacts, KernelError> {
    let kind = tag_type(kernel)?;
    let layout: CodetagTypeLayout = kernel.layout()?;
    let memory = |fault| KernelError::Memory {
        what: "the kernel's list of allocation tags",
        fault,
    };
    let record = kernel.space.read_bytes(kind, layout.len).map_err(memory)?;
    let mut reader = TagReader::new(kernel, layout.tag_size.get(&record))?;
    reader.read_all(kind.plus(u64::from(layout.ranges.offset)))?;
    let expected = layout.count.get(&record);
    if reader.seen != expected {
        reader.complete = false;
        kernel.diag.warn(
            "alloc-tags-miscounted",
            format!("{} allocation tags were found, but the kernel counted {expected}: the others are missing; a module was being loaded at the crash, or the kernel's memory is damaged", reader.seen),
        );
    }
    if reader.unreadable > 0 {
        reader.complete = false;
        kernel.diag.warn_many(
            "alloc-tag-unreadable",
            "an allocation tag, its names or its counters can't be read; take the dump with kernel pages included",
            reader.unreadable,
        );
    }
    Ok(AllocFacts {
        sites: reader.sites,
        enabled: enabled(kernel),
        version: version(kernel),
        complete: reader.complete,
    })
}

/// `alloc_tag_cttype`.
fn tag_type(kernel: &Kernel) -> Result<VirtAddr, KernelError> {
    let at = kernel.symbol("alloc_tag_cttype").ok_or_else(|| {
        kernel.lacks(
            "alloc_tag_cttype",
            "this kernel does no memory allocation profiling: it needs 6.10 or later built with CONFIG_MEM_ALLOC_PROFILING",
        )
    })?;
    let kind = kernel.space.read_ptr(at);
    let kind = kind.map_err(|fault| KernelError::Memory {
        what: "alloc_tag_cttype",
        fault,
    })?;
    // Null, or an error as a pointer.
    if kind.is_null() || kind.0 >= (4u64 << 10).wrapping_neg() {
        return Err(KernelError::Unsupported(
            "memory allocation profiling is built into this kernel, but was not set up: boot with sysctl.vm.mem_profiling=1".into(),
        ));
    }
    Ok(kind)
}

/// `struct static_key` begins with how often it was enabled.
fn enabled(kernel: &Kernel) -> Option<bool> {
    let count = kernel.u32_of("mem_alloc_profiling_key").value()?;
    Some(count.cast_signed() > 0)
}

fn version(kernel: &Kernel) -> String {
    let [header] = literals::find(kernel, [HEADER]);
    if let Literal::Found(header) = header
        && let Some(version) = header.strip_prefix(HEADER)
    {
        return version.trim_end().to_owned();
    }
    kernel.diag.assume(
        "allocinfo_version",
        FIRST_VERSION,
        "the kernel's own literal can't be read; only the first line of --format proc depends on it",
    );
    FIRST_VERSION.to_owned()
}

struct TagReader<'k> {
    kernel: &'k Kernel,
    cpus: Cpus,
    tag: AllocTagLayout,
    counters: AllocCountersLayout,
    tag_size: u64,
    names: FxHashMap<VirtAddr, Option<String>>,
    sites: Vec<AllocSite>,
    seen: u64,
    unreadable: u64,
    complete: bool,
}

impl<'k> TagReader<'k> {
    fn new(kernel: &'k Kernel, tag_size: u64) -> Result<Self, KernelError> {
        let tag: AllocTagLayout = kernel.layout()?;
        if tag_size < tag.len as u64 || tag_size > 4 << 10 {
            return Err(KernelError::Unsupported(format!(
                "the kernel's allocation tags are of {tag_size} bytes, which makes no sense: its memory is damaged there"
            )));
        }
        Ok(Self {
            kernel,
            cpus: Cpus::read(kernel)?,
            tag,
            counters: kernel.layout()?,
            tag_size,
            names: FxHashMap::default(),
            sites: Vec::new(),
            seen: 0,
            unreadable: 0,
            complete: true,
        })
    }

    /// The range of the kernel and those of its modules, in the order of their numbers.
    fn read_all(&mut self, ranges: VirtAddr) -> Result<(), KernelError> {
        let kernel = self.kernel;
        let layout: CodetagModuleLayout = kernel.layout()?;
        let ranges = xarray::pointers(kernel, ranges, MAX_RANGES)?;
        if !ranges.end.is_complete() {
            self.complete = false;
            kernel.diag.warn(
                "alloc-tag-ranges-damaged",
                format!("the list of who has allocation tags {}: those of some modules are missing; the kernel's own memory is damaged or missing there", ranges.end.describe()),
            );
        }
        for (_, at) in ranges.value {
            match kernel.space.read_bytes(at, layout.len) {
                Ok(record) => self.read_range(
                    VirtAddr(layout.start.get(&record)),
                    VirtAddr(layout.stop.get(&record)),
                ),
                Err(_) => self.unreadable += 1,
            }
        }
        Ok(())
    }

    fn read_range(&mut self, start: VirtAddr, stop: VirtAddr) {
        let count = stop.offset_from(start).unwrap_or(0) / self.tag_size;
        for index in 0..count.min(MAX_TAGS.saturating_sub(self.seen)) {
            self.seen += 1;
            let at = start.plus(index * self.tag_size);
            match self.read_tag(at) {
                Some(site) => {
                    if site.bytes.is_none() {
                        self.unreadable += 1;
                    }
                    self.sites.push(site);
                }
                None => self.unreadable += 1,
            }
        }
    }

    /// `None` without the tag or its names.
    fn read_tag(&mut self, at: VirtAddr) -> Option<AllocSite> {
        let record = self.kernel.space.read_bytes(at, self.tag.len).ok()?;
        let pointer = |field: &crate::kernel::layout::Field| VirtAddr(field.get(&record));
        let (file, function, module, counters) = (
            pointer(&self.tag.file),
            pointer(&self.tag.function),
            pointer(&self.tag.module),
            pointer(&self.tag.counters),
        );
        let sums = self.sum(counters);
        Some(AllocSite {
            file: self.name(file)?,
            line: self.tag.line.get(&record),
            function: self.name(function)?,
            module: match module.is_null() {
                true => None,
                false => Some(self.name(module)?),
            },
            bytes: sums.map(|(bytes, _)| bytes.cast_signed()),
            calls: sums.map(|(_, calls)| calls),
            accurate: self.tag.flags.get(&record) & INACCURATE == 0,
            address: at,
        })
    }

    /// Bytes and calls of all CPUs (`alloc_tag_read`).
    fn sum(&self, counters: VirtAddr) -> Option<(u64, u64)> {
        if counters.is_null() {
            return None;
        }
        let mut sums = (0u64, 0u64);
        for (_, at) in self.cpus.instances(counters) {
            let record = self.kernel.space.read_bytes(at, self.counters.len).ok()?;
            sums.0 = sums.0.wrapping_add(self.counters.bytes.get(&record));
            sums.1 = sums.1.wrapping_add(self.counters.calls.get(&record));
        }
        Some(sums)
    }

    fn name(&mut self, at: VirtAddr) -> Option<String> {
        let space = &self.kernel.space;
        let known = self.names.entry(at);
        known
            .or_insert_with(|| space.read_c_string(at, MAX_NAME).ok())
            .clone()
    }
}
