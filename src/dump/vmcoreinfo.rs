//! VMCOREINFO: the text in which a kernel tells dump tools about itself.
//!
//! Lines of `KEY=value`; keys such as `OSRELEASE`, `SYMBOL(name)` (hex),
//! `OFFSET(struct.member)`, `NUMBER(name)` (decimal, may be negative; hex with `0x`).
//! Source: kernel/crash_core.c, kernel/vmcore_info.c. It may exceed a page.

use rustc_hash::FxHashMap;

use crate::addr::VirtAddr;

/// The parsed key–value lines.
#[derive(Clone, Debug, Default)]
pub struct VmcoreInfo {
    values: FxHashMap<String, String>,
    text: String,
    origin: NoteOrigin,
}

/// How a VMCOREINFO was come by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoteOrigin {
    /// It is the dump's note.
    #[default]
    Note,
    /// The text lies in memory.
    TextInMemory,
    /// There is none: what it would say was found from the registers of the CPUs.
    CpuRegisters,
    /// There is none: what it would say was found by the shape of page tables.
    PageTables,
}

impl VmcoreInfo {
    /// Parses the note's text; lines without `=` are passed over.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = crate::bytes::c_string(bytes);
        let values = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Self {
            values,
            text,
            origin: NoteOrigin::Note,
        }
    }

    /// The same, come by in another way.
    #[must_use]
    pub(crate) fn from(mut self, origin: NoteOrigin) -> Self {
        self.origin = origin;
        self
    }

    /// With what the headers of the dump say of `phys_base`, where the kernel says only at which
    /// address it has it (up to 4.11).
    pub(crate) fn set_phys_base(&mut self, value: u64) {
        const KEY: &str = "NUMBER(phys_base)";
        if self.get("SYMBOL(phys_base)").is_some() && self.get(KEY).is_none() {
            self.values
                .insert(KEY.to_owned(), value.cast_signed().to_string());
        }
    }

    /// Whether the kernel wrote it: then what it does not say is not so.
    pub fn is_written_by_kernel(&self) -> bool {
        matches!(self.origin, NoteOrigin::Note | NoteOrigin::TextInMemory)
    }

    /// How it was come by.
    pub fn origin(&self) -> NoteOrigin {
        self.origin
    }

    /// The text as it stands in the dump.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value of a key as text.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// `NUMBER(name)`: decimal and possibly negative, or with `0x` hexadecimal, as addresses are.
    pub fn number(&self, name: &str) -> Option<i64> {
        let value = self.get(&format!("NUMBER({name})"))?;
        match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(u64::cast_signed),
            None => value.parse().ok(),
        }
    }

    /// `SYMBOL(name)`: the address at run time, KASLR included.
    pub fn symbol(&self, name: &str) -> Option<VirtAddr> {
        self.hex(&format!("SYMBOL({name})")).map(VirtAddr)
    }

    /// A key whose value is hexadecimal without prefix, such as `KERNELOFFSET`.
    pub fn hex(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        u64::from_str_radix(value.trim_start_matches("0x"), 16).ok()
    }

    /// `OSRELEASE`, as `uname -r` prints it.
    pub fn release(&self) -> Option<&str> {
        self.get("OSRELEASE")
    }

    /// `BUILD-ID` of vmlinux in lower-case hex (5.9 and later).
    pub fn build_id(&self) -> Option<&str> {
        self.get("BUILD-ID")
    }

    /// `CRASHTIME`: seconds since 1970, set when the kernel crashed.
    pub fn crash_time(&self) -> Option<i64> {
        self.get("CRASHTIME")?.parse().ok()
    }

    /// How far KASLR moved the kernel image; 0 where it did not.
    pub fn kernel_offset(&self) -> u64 {
        self.hex("KERNELOFFSET").unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_kind() {
        let info = VmcoreInfo::parse(
            b"OSRELEASE=6.1.0\nSYMBOL(_stext)=ffffffff81000000\nNUMBER(phys_base)=-4096\n\
              KERNELOFFSET=1a000000\nCRASHTIME=1700000000\nrubbish\n\0\0",
        );
        assert_eq!(info.release(), Some("6.1.0"));
        assert_eq!(info.symbol("_stext"), Some(VirtAddr(0xffff_ffff_8100_0000)));
        assert_eq!(info.number("phys_base"), Some(-4096));
        assert_eq!(info.kernel_offset(), 0x1a00_0000);
        assert_eq!(info.crash_time(), Some(1_700_000_000));
        assert_eq!(info.symbol("absent"), None);
    }

    /// arch/x86/kernel/machine_kexec_64.c: `SYMBOL(phys_base)` up to 4.11, `NUMBER` since.
    #[test]
    fn the_headers_word_for_phys_base_is_the_last() {
        for (text, wanted) in [
            ("SYMBOL(phys_base)=ffffffff81810010\n", Some(-27_262_976)),
            ("NUMBER(phys_base)=4096\n", Some(4096)),
            ("SYMBOL(swapper_pg_dir)=ffffffff81c05000\n", None),
        ] {
            let mut info = VmcoreInfo::parse(text.as_bytes());
            info.set_phys_base(0xffff_ffff_fe60_0000);
            assert_eq!(info.number("phys_base"), wanted, "{text}");
        }
    }
}
