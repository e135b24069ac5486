//! Where the kernel is in a dump that does not say it: from the texts in its memory, else from
//! its page tables.
//!
//! Input: a [`Dump`]. Output: the dump, with the VMCOREINFO that was found, and [`BootFacts`].
//! Invariant: what was found is believed only if, read through it, the kernel calls itself by
//! the name that the text gives it (`init_uts_ns`).

use std::sync::Arc;

use super::{BootFacts, SpaceError};
use crate::addr::VirtAddr;
use crate::dump::{Dump, FoundText, VmcoreInfo};
use crate::space::AddressSpace;
use crate::space::arch;

/// A dump of which it is known where its kernel is.
#[derive(Debug)]
pub struct Located {
    /// The dump, with the VMCOREINFO that was found where it brings none.
    pub dump: Arc<Dump>,
    /// Where the kernel is.
    pub boot: BootFacts,
    /// What was assumed for it.
    pub assumed: Option<Assumed>,
}

/// What was found in place of the kernel's note, and how.
#[derive(Clone, Debug)]
pub struct Assumed {
    /// What it is about.
    pub name: &'static str,
    /// What is assumed.
    pub value: String,
    /// How that came about.
    pub how: String,
}

/// Bytes of `struct uts_namespace` that are looked at: all of its names.
const UTS_BYTES: usize = 1024;

/// Finds where the kernel of `dump` is: by its note, or by what lies in its memory.
///
/// # Errors
/// If nothing tells.
pub fn locate(dump: Dump) -> Result<Located, SpaceError> {
    let error = match BootFacts::find(&dump) {
        Ok(boot) => {
            return Ok(Located {
                dump: Arc::new(dump),
                boot,
                assumed: None,
            });
        }
        Err(error @ SpaceError::OtherArchitecture { .. }) => return Err(error),
        Err(error) => error,
    };
    let dump = Arc::new(dump);
    by_text(&dump).or_else(|| by_search(&dump)).ok_or(error)
}

/// A text by which the kernel can be read.
struct Candidate {
    text: FoundText,
    boot: BootFacts,
}

impl Candidate {
    fn of(dump: &Arc<Dump>, text: FoundText) -> Option<Self> {
        let boot = BootFacts::told(dump, &text.info).ok()?;
        calls_itself(dump, &boot, &text.info).then_some(Self { text, boot })
    }

    /// Texts of one kernel differ in what was added to them when it crashed.
    fn kernel(&self) -> (VirtAddr, u64, u64) {
        let boot = &self.boot;
        let (root, base) = (boot.root.value, boot.image.value.phys.0);
        (root, base, boot.kernel_offset.value)
    }

    /// The better one is the larger: a kernel that crashed before one that did not, later
    /// crashes before earlier ones, of one kernel the text that says most.
    fn weight(&self) -> (Option<i64>, bool, usize) {
        let info = &self.text.info;
        (info.crash_time(), self.text.is_note, info.text().len())
    }
}

fn by_text(dump: &Arc<Dump>) -> Option<Located> {
    let texts = dump.texts_in_memory().into_iter();
    let mut candidates: Vec<_> = texts.filter_map(|text| Candidate::of(dump, text)).collect();
    // The first of equals: by address.
    candidates.reverse();
    let best = candidates.iter().max_by_key(|each| each.weight())?;
    let mut others: Vec<String> = candidates
        .iter()
        .filter(|other| other.kernel() != best.kernel())
        .map(|other| described(&other.text))
        .collect();
    others.sort();
    others.dedup();
    let shift = dump.page_shift();
    let mut how = format!(
        "found at physical address {} and checked: init_uts_ns, read by it, has the same release",
        best.text.pfn.start(shift)
    );
    if !others.is_empty() {
        let why = match best.text.info.crash_time() {
            Some(_) => "this one crashed, or crashed last",
            None => "none says that it crashed, and this one says most",
        };
        how += &format!(
            "; other kernels' lie in memory too ({}): {why}",
            others.join(", ")
        );
    }
    Some(Located {
        dump: Arc::new(dump.noted(best.text.info.clone())),
        boot: best.boot.clone(),
        assumed: Some(Assumed {
            name: "vmcoreinfo",
            value: described(&best.text),
            how,
        }),
    })
}

/// From what shows itself where no text says it: each kernel that is found has been read by then.
fn by_search(dump: &Arc<Dump>) -> Option<Located> {
    let archs = arch::of(dump.machine().as_ref()).ok()?;
    let notes = archs.iter().flat_map(|arch| arch.notes_by_search(dump));
    let mut notes = notes.filter(|note| BootFacts::told(dump, note).is_ok());
    let note = notes.next()?;
    let boot = BootFacts::told(dump, &note).ok()?;
    let release = |note: &VmcoreInfo| note.release().unwrap_or_default().to_owned();
    let others: Vec<String> = notes.map(|note| release(&note)).collect();
    let mut how = format!(
        "no VMCOREINFO lies in memory: found by the {}, and checked: linux_banner and init_uts_ns in the image that they map have the same release",
        boot.from()
    );
    if !others.is_empty() {
        how += &format!(
            "; other kernels lie in memory too ({}): this is the first",
            others.join(", ")
        );
    }
    Some(Located {
        assumed: Some(Assumed {
            name: "boot_facts",
            value: release(&note),
            how,
        }),
        dump: Arc::new(dump.noted(note)),
        boot,
    })
}

fn described(text: &FoundText) -> String {
    let release = text.info.release().unwrap_or("unknown");
    match text.info.crash_time() {
        Some(time) => format!("{release}, crashed at {time}"),
        None => release.to_owned(),
    }
}

/// Whether the kernel that is found by `boot` says itself that it is of the release that `info`
/// has, and its page tables lead there too.
fn calls_itself(dump: &Arc<Dump>, boot: &BootFacts, info: &VmcoreInfo) -> bool {
    let Ok(space) = AddressSpace::booted(Arc::clone(dump), boot.clone()) else {
        return false;
    };
    let (Some(release), Some(at)) = (info.release(), info.symbol("init_uts_ns")) else {
        return false;
    };
    let walked = space.walk(at).ok().map(|(mapping, _)| mapping.phys);
    let linear = space.translate(at).ok().map(|mapping| mapping.phys);
    let named = space.read_bytes(at, UTS_BYTES).is_ok_and(|bytes| {
        let release = [release.as_bytes(), b"\0"].concat();
        memchr::memmem::find(&bytes, &release).is_some()
    });
    walked.is_some() && walked == linear && named
}
