//! Where pages come from: what every format of dump gives to [`Dump`](super::Dump).
//!
//! One file a format implements [`PageSource`]; nothing else knows the formats apart. It is
//! asked once per page, never per word.

use std::fmt;
use std::ops::Range;

use super::PageFault;
use super::codec::Codec;
use super::facts::DumpFacts;
use super::notes::Notes;
use crate::addr::Pfn;

/// How a page is stored.
#[derive(Debug)]
pub(crate) enum Stored<'a> {
    /// As it is, in the mapping.
    Plain(&'a [u8]),
    /// As it is, put together from parts.
    Owned(Vec<u8>),
    /// Compressed.
    Packed {
        codec: Codec,
        data: std::borrow::Cow<'a, [u8]>,
        offset: u64,
    },
}

/// What a dump's own header says of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderFacts {
    /// `uname -r`.
    pub release: String,
    /// `uname -m`.
    pub machine: String,
    /// CPUs.
    pub nr_cpus: u32,
    /// When it was written, in seconds since 1970.
    pub timestamp: i64,
}

/// Which architecture the files say that they are of, each format in its own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineName {
    /// `uname -m`.
    Utsname(String),
    /// `e_machine` of an ELF header.
    Elf(u16),
}

impl fmt::Display for MachineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utsname(name) => f.write_str(name),
            Self::Elf(number) => match goblin::elf::header::machine_to_str(*number) {
                "UNKNOWN_MACHINE" => write!(f, "unknown (e_machine {number})"),
                name => f.write_str(name),
            },
        }
    }
}

/// A format of dump: an open file, or a set of them.
pub(crate) trait PageSource: fmt::Debug + Send + Sync {
    /// What the files say of themselves.
    fn facts(&self) -> DumpFacts;

    /// Registers and VMCOREINFO.
    fn notes(&self) -> &Notes;

    /// Of the machine, where the format's header says it.
    fn header(&self) -> Option<&HeaderFacts> {
        None
    }

    /// Whether the memory changes while it is read.
    fn is_live(&self) -> bool {
        false
    }

    /// The architecture, where the format's header says it.
    fn machine(&self) -> Option<MachineName>;

    /// Bytes in a page.
    fn page_size(&self) -> u32;

    /// One more than the highest page frame number that the headers name.
    fn max_pfn(&self) -> u64;

    /// Where pages may be, for a pass over all of them: no more than the files can hold, whatever
    /// their headers say.
    fn pfns(&self) -> Vec<Range<u64>> {
        let most = self.file_bytes().saturating_mul(8);
        std::iter::once(0..self.max_pfn().min(most)).collect()
    }

    /// Bytes in all files.
    fn file_bytes(&self) -> u64;

    /// Where and how the page is stored.
    ///
    /// # Errors
    /// If not all of its bytes are there: the worst of the reasons.
    fn locate(&self, pfn: Pfn) -> Result<Stored<'_>, PageFault>;

    /// Whether some bytes of a page are there, or all: most formats have pages whole or not at all.
    fn holds_part_of(&self, pfn: Pfn) -> bool {
        self.locate(pfn).is_ok()
    }

    /// Of a page that can't be had whole: fills `out` with its bytes from `start` on as far as
    /// they are there, with zeros elsewhere, and says the worst of why not all are.
    fn fill_partly(&self, pfn: Pfn, start: usize, out: &mut [u8]) -> Option<PageFault> {
        let _ = start;
        out.fill(0);
        self.locate(pfn).err()
    }
}

/// A source may be shared, and stand below another one that changes what it gives.
pub(crate) type SharedSource = std::sync::Arc<dyn PageSource>;

/// What a source that stands on another one (`below`) gives as that one does, by name.
macro_rules! as_below {
    ($($name:ident)*) => { $( $crate::dump::page_source::as_below!(@ $name); )* };
    (@ facts) => {
        fn facts(&self) -> $crate::dump::DumpFacts {
            self.below.facts()
        }
    };
    (@ notes) => {
        fn notes(&self) -> &$crate::dump::Notes {
            self.below.notes()
        }
    };
    (@ header) => {
        fn header(&self) -> Option<&$crate::dump::HeaderFacts> {
            self.below.header()
        }
    };
    (@ is_live) => {
        fn is_live(&self) -> bool {
            self.below.is_live()
        }
    };
    (@ machine) => {
        fn machine(&self) -> Option<$crate::dump::MachineName> {
            self.below.machine()
        }
    };
    (@ page_size) => {
        fn page_size(&self) -> u32 {
            self.below.page_size()
        }
    };
    (@ max_pfn) => {
        fn max_pfn(&self) -> u64 {
            self.below.max_pfn()
        }
    };
    (@ pfns) => {
        fn pfns(&self) -> Vec<std::ops::Range<u64>> {
            self.below.pfns()
        }
    };
    (@ file_bytes) => {
        fn file_bytes(&self) -> u64 {
            self.below.file_bytes()
        }
    };
}
pub(crate) use as_below;
