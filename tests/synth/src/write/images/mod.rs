//! Images of memory: what tools other than kdump write, without registers and without a note.
//!
//! | module | format |
//! |---|---|
//! | [`lime`] | LiME, and AVML's uncompressed images |
//! | [`avml`] | AVML, snappy |
//! | [`savevm`] | QEMU's stream, bare and behind `virsh save`'s header |
//! | [`vmware`] | vmss with the memory in it, and vmss with a vmem |
//! | [`raw`] | memory as it is |
//! | [`sadump`] | SADUMP, of one partition, copied, of a set of disks |
//! | [`xen`] | a core of a Xen domain |

pub mod avml;
pub mod lime;
pub mod raw;
pub mod sadump;
pub mod savevm;
pub mod vmware;
pub mod xen;

use std::ops::Range;

use crate::machine::Machine;
use crate::memory::PAGE_SHIFT;

/// These images are of machines with the smallest pages.
const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// Pages to be written: of a machine, or of a dump that was read.
pub struct Image<'a> {
    /// Frames that there are, by number.
    pub runs: Vec<Range<u64>>,
    /// Gives a frame's bytes.
    pub read: Box<dyn Fn(u64) -> Vec<u8> + 'a>,
}

impl<'a> Image<'a> {
    /// The frames that `pages` names in order.
    pub fn new(pages: impl IntoIterator<Item = u64>, read: impl Fn(u64) -> Vec<u8> + 'a) -> Self {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for pfn in pages {
            match runs.last_mut() {
                Some(run) if run.end == pfn => run.end += 1,
                _ => runs.push(pfn..pfn + 1),
            }
        }
        let read = Box::new(read);
        Self { runs, read }
    }

    /// A machine's memory.
    pub fn of(machine: &'a Machine) -> Self {
        let pages = machine.memory().pages().map(|(pfn, _)| pfn);
        Self::new(pages, |pfn| {
            let page = machine.memory().page(pfn);
            page.expect("a page that exists").to_vec()
        })
    }

    /// All frames with their bytes.
    pub fn pages(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        let pfns = self.runs.iter().cloned().flatten();
        pfns.map(|pfn| (pfn, (self.read)(pfn)))
    }

    /// The bytes of a run.
    fn run(&self, run: &Range<u64>) -> Vec<u8> {
        run.clone().flat_map(|pfn| (self.read)(pfn)).collect()
    }

    /// One more than the last frame.
    pub fn end(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.end)
    }
}

impl std::fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pages {:?}", self.runs)
    }
}

/// Puts VMCOREINFO's text into a free frame, as the kernel keeps it: with the header of the note
/// before it, or as it is. Says at which address.
pub fn leave_text(machine: &mut Machine, text: &str, is_note: bool) -> u64 {
    let mut bytes = Vec::new();
    if is_note {
        super::notes::note(&mut bytes, "VMCOREINFO", 0, text.as_bytes());
    } else {
        bytes.extend_from_slice(text.as_bytes());
    }
    let pages = bytes.len() as u64 / PAGE_SIZE + 1;
    let free = |pfn: &u64| (*pfn..pfn + pages).all(|at| machine.memory().page(at).is_none());
    let frames = machine.ram().iter().cloned().flatten();
    let pfn = frames.skip(16).find(free);
    let address = pfn.expect("some memory is free") * PAGE_SIZE;
    machine.kernel.memory.write(address, &bytes);
    address
}

/// First and last address of a run.
fn ends(run: &Range<u64>) -> (u64, u64) {
    (run.start * PAGE_SIZE, run.end * PAGE_SIZE - 1)
}
