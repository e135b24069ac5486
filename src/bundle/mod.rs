//! A small dump out of a large one: only the words of memory that were read.
//!
//! Layer: above `subsys`, below the command line. Input: a kernel, what was read of its dump
//! ([`Reads`]), and for which commands. Output: a kdump-compressed file. Invariants: nothing of
//! user processes, files, free memory or compressed memory is in it; of what the kernel allocated
//! only words that were read, of what was only searched for pointers only words that are kernel
//! addresses; a page that is not in it is one that its writer left out, never zeros.

mod choice;
mod redact;

use std::collections::BTreeMap;
use std::io::{self, Seek, Write};

use thiserror::Error;

use crate::addr::Pfn;
use crate::dump::{KdumpHeader, KdumpWriter, PageFault, PageReads, Reads, bundle_note};
use crate::kernel::memmap::Memmap;
use crate::kernel::page_kinds::PageKinds;
use crate::kernel::zones::cpu_lists;
use crate::kernel::{Kernel, KernelError};
use crate::subsys::mm::slab::{Progress, SlabHeap};
use choice::Keep;
use redact::Redactions;

/// Free, private page cache, page cache and user pages: what makedumpfile's `-d 30` leaves out.
const LEFT_OUT: u32 = 0x1e;

/// Why a bundle can't be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// What pages are used for can't be told: then none may leave.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// Writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What a bundle is made for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The commands whose reads it holds.
    pub commands: Vec<String>,
    /// Whether texts of the machine are blanked: its log, its name, the kernel's command line.
    pub redact: bool,
}

/// What went into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BundleFacts {
    /// Pages.
    pub pages: u64,
    /// Pages that were read and are none of the kernel's own, so that they stay behind.
    pub kept_back: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes the bundle.
///
/// # Errors
/// If the kernel's page structures can't be read, or writing fails.
pub fn write<W: Write + Seek>(
    kernel: &Kernel,
    reads: &Reads,
    wanted: &Wanted,
    out: W,
    progress: &dyn Progress,
) -> Result<BundleFacts, BundleError> {
    let memmap = Memmap::find(kernel)?;
    let kinds = PageKinds::new(kernel, &memmap)?;
    let heap = SlabHeap::read_with(kernel, &memmap, progress, |chunk| {
        kinds.classify(chunk, |_, _, _, _| ());
    })?;
    kinds.finish(kernel, &memmap, &cpu_lists(kernel)?);
    let redactions = match wanted.redact {
        true => Redactions::of(kernel),
        false => Redactions::default(),
    };
    let own = reads.pages();
    let mut pages = own.clone();
    choice::add_for_debuggers(kernel, &heap, &mut pages);
    let dump = kernel.dump();
    let mut kept_back = 0;
    let mut chosen: BTreeMap<Pfn, (Keep, PageReads)> = BTreeMap::new();
    for (pfn, mut read) in pages {
        if dump.why_not_there(pfn).is_some() {
            continue;
        }
        let mut keep = choice::keep(kinds.get(pfn), &read);
        if redactions.are_in(pfn) && keep == Keep::Whole {
            // Older texts may lie between those that are blanked.
            read = own.get(&pfn).cloned().unwrap_or_default();
            keep = Keep::Words;
        }
        match keep {
            Keep::Nothing => kept_back += u64::from(read.has_words()),
            keep => {
                chosen.insert(pfn, (keep, read));
            }
        }
    }
    let dumped: Vec<Pfn> = chosen.keys().copied().collect();
    let ram = dump.pfns().into_iter().flatten().map(Pfn);
    let ram = ram.filter(|pfn| !matches!(dump.why_not_there(*pfn), Some(PageFault::NotInDump(_))));
    let header = header(kernel, wanted.redact);
    let note = bundle_note(&note_text(wanted));
    let mut writer = KdumpWriter::new(out, &header, dump.notes(), &note, ram, &dumped)?;
    progress.start("writing the bundle", dumped.len() as u64);
    let mut page = vec![0; dump.page_size()];
    for (pfn, (keep, read)) in &chosen {
        if let Err(fault) = dump.read_page(*pfn, &mut page) {
            return Err(io::Error::other(fault.to_string()).into());
        }
        keep.apply(read, &mut page);
        redactions.apply(*pfn, &mut page);
        writer.page(&page)?;
        progress.step(1);
    }
    Ok(BundleFacts {
        pages: dumped.len() as u64,
        kept_back,
        bytes: writer.finish()?,
    })
}

/// Which version wrote it and for which commands: another one may read other words.
fn note_text(wanted: &Wanted) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("{version} {}", wanted.commands.join(" "))
}

fn header(kernel: &Kernel, redact: bool) -> KdumpHeader {
    let dump = kernel.dump();
    let (info, facts, boot) = (kernel.vmcoreinfo(), dump.facts(), kernel.space.boot());
    let host = match redact {
        true => None,
        false => crate::subsys::system::host(kernel),
    };
    let own = dump.header();
    KdumpHeader {
        page_size: facts.page_size,
        max_pfn: dump.max_pfn(),
        dump_level: facts.dump_level.unwrap_or(0) | LEFT_OUT,
        utsname: [
            "Linux".to_owned(),
            host.unwrap_or_default(),
            info.release().unwrap_or_default().to_owned(),
            // libkdumpfile believes no header without one.
            crate::subsys::system::version(kernel).unwrap_or_else(|| "#1".to_owned()),
            boot.arch.name().to_owned(),
            "(none)".to_owned(),
        ],
        timestamp: own.map_or(0, |own| own.timestamp),
        nr_cpus: own.map_or(dump.notes().prstatus.len() as u32, |own| own.nr_cpus),
        phys_base: info.number("phys_base").unwrap_or(0).cast_unsigned(),
    }
}
