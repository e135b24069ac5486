//! Values as the kernel's own handlers print them (kernel/sysctl.c).
//!
//! Numbers of an array have tabs between them; a table without data or room gives nothing.

use std::cell::{Cell, OnceCell};

use super::handlers::Decoder;
use super::special::Shapes;
use super::tree::Leaf;
use crate::addr::VirtAddr;
use crate::bytes::{c_string, u32_at, u64_at};
use crate::kernel::Kernel;
use crate::kernel::cpus::Cpus;
use crate::kernel::modules::Modules;
use crate::space::MemFault;

/// Ticks per second that user space is told (USER_HZ, include/asm-generic/param.h).
const USER_HZ: u64 = 100;
/// The longest values are strings and arrays of some hundred bytes.
const MAX_LEN: usize = 64 << 10;
/// Bits of the longest bitmap: one for each port.
const MAX_BITS: usize = 1 << 20;
/// Bytes that are shown of what can't be decoded.
const MAX_RAW: usize = 64;
/// Permission of the owner to read.
const READABLE: u16 = 0o400;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Reading gives nothing at all.
    Nothing,
    /// Reading is an error.
    Refused(&'static str),
    /// It can't be decoded, for this reason.
    Raw(String),
    /// The dump lacks it.
    Missing(String),
}

impl From<MemFault> for Unread {
    fn from(fault: MemFault) -> Self {
        Self::Missing(fault.to_string())
    }
}

/// What reading a file gives.
pub(super) type Answer = Result<String, Unread>;

/// Reads values.
pub(super) struct ValueReader<'k> {
    pub(super) kernel: &'k Kernel,
    pub(super) modules: &'k Modules,
    pub(super) shapes: Shapes,
    hz: Option<u64>,
    cpus: OnceCell<Option<Cpus>>,
    lost: Cell<u64>,
}

impl<'k> ValueReader<'k> {
    pub(super) fn new(kernel: &'k Kernel, modules: &'k Modules, hz: Option<u64>) -> Self {
        Self {
            kernel,
            modules,
            shapes: Shapes::default(),
            hz,
            cpus: OnceCell::new(),
            lost: Cell::new(0),
        }
    }

    /// How many values the dump lacks.
    pub(super) fn lost(&self) -> u64 {
        self.lost.get()
    }

    /// What reading the file gives, if its handler is known.
    pub(super) fn answer(&self, leaf: &Leaf, decoder: Option<Decoder>) -> Answer {
        if leaf.mode & READABLE == 0 {
            return Err(Unread::Refused("can only be written"));
        }
        let answer = match decoder {
            Some(decoder) => self.decode(leaf, decoder),
            None => Err(Unread::Raw("its handler is not known".to_owned())),
        };
        if matches!(answer, Err(Unread::Missing(_))) {
            self.lost.set(self.lost.get() + 1);
        }
        answer
    }

    /// The bytes of a value, in hexadecimal.
    pub(super) fn bytes(&self, leaf: &Leaf) -> Option<String> {
        let len = leaf.maxlen.min(MAX_RAW);
        if leaf.data.is_null() || len == 0 {
            return None;
        }
        let bytes = self.kernel.space.read_bytes(leaf.data, len).ok()?;
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(bytes.join(" "))
    }

    /// The name of a function that is in a module.
    pub(super) fn function(&self, at: VirtAddr) -> Option<String> {
        let (_, name, offset) = self.modules.symbolize(at)?;
        (offset == 0).then(|| name.to_owned())
    }

    pub(super) fn cpus(&self) -> Option<&Cpus> {
        let read = || Cpus::read(self.kernel).ok();
        self.cpus.get_or_init(read).as_ref()
    }

    fn hz(&self) -> Result<u64, Unread> {
        let unknown = || Unread::Raw("the length of a tick is not known".to_owned());
        self.hz.ok_or_else(unknown)
    }

    pub(super) fn decode(&self, leaf: &Leaf, decoder: Decoder) -> Answer {
        match decoder {
            Decoder::Special(special) => special(self, leaf),
            Decoder::Int => self.words(leaf, |word| i64::from(word.cast_signed()).to_string()),
            Decoder::UInt => self.words(leaf, |word| word.to_string()),
            Decoder::IntOrU8 if leaf.maxlen == 1 => self.byte(leaf),
            Decoder::IntOrU8 => self.decode(leaf, Decoder::Int),
            Decoder::U8 => self.byte(leaf),
            Decoder::Bool => self.truth(leaf),
            Decoder::Long => self.longs(leaf, |long| long),
            Decoder::LongMs => {
                let hz = self.hz()?;
                self.longs(leaf, |long| long.wrapping_mul(1000) / hz)
            }
            Decoder::Jiffies => {
                let hz = self.hz()?;
                self.words(leaf, |word| signed(word, |jiffies| jiffies / hz))
            }
            // jiffies_to_clock_t(): by whole nanoseconds of a tick.
            Decoder::UserHz => {
                let tick = 1_000_000_000 / self.hz()?;
                let step = 1_000_000_000 / USER_HZ;
                self.words(leaf, |word| signed(word, |jiffies| jiffies * tick / step))
            }
            // jiffies_to_msecs(): rounded up where a tick is no whole number of them.
            Decoder::Ms => {
                let hz = self.hz()?;
                self.words(leaf, |word| {
                    signed(word, |jiffies| (jiffies * 1000).div_ceil(hz))
                })
            }
            Decoder::Text => self.text(leaf),
            Decoder::Bitmap => self.bitmap(leaf),
            Decoder::StaticKey => {
                let key = self.data(leaf)?;
                Ok(self.key_at(key)?.to_string())
            }
        }
    }

    fn data(&self, leaf: &Leaf) -> Result<VirtAddr, Unread> {
        match leaf.data.is_null() {
            true => Err(Unread::Nothing),
            false => Ok(leaf.data),
        }
    }

    /// Whether a static key is enabled, 1 or 0 (`static_key_enabled`): its counter comes first.
    pub(super) fn key_at(&self, key: VirtAddr) -> Result<u8, Unread> {
        let enabled = self.kernel.space.read_u32(key)?.cast_signed();
        Ok(u8::from(enabled > 0))
    }

    fn array(&self, leaf: &Leaf, size: usize) -> Result<Vec<u8>, Unread> {
        let data = self.data(leaf)?;
        let len = leaf.maxlen / size * size;
        if len == 0 {
            return Err(Unread::Nothing);
        }
        if len > MAX_LEN {
            return Err(Unread::Raw("it claims to be too long".to_owned()));
        }
        Ok(self.kernel.space.read_bytes(data, len)?)
    }

    fn words(&self, leaf: &Leaf, print: impl Fn(u32) -> String) -> Answer {
        let bytes = self.array(leaf, 4)?;
        let all: Vec<String> = (0..bytes.len() / 4)
            .filter_map(|index| u32_at(&bytes, index * 4))
            .map(print)
            .collect();
        Ok(all.join("\t"))
    }

    fn longs(&self, leaf: &Leaf, convert: impl Fn(u64) -> u64) -> Answer {
        let bytes = self.array(leaf, 8)?;
        Ok(tabs(
            (0..bytes.len() / 8)
                .filter_map(|index| u64_at(&bytes, index * 8))
                .map(convert),
        ))
    }

    fn byte(&self, leaf: &Leaf) -> Answer {
        let data = self.data(leaf)?;
        let bytes = self.kernel.space.read_bytes(data, 1)?;
        Ok(bytes.first().copied().unwrap_or(0).to_string())
    }

    fn truth(&self, leaf: &Leaf) -> Answer {
        let data = self.data(leaf)?;
        let bytes = self.kernel.space.read_bytes(data, 1)?;
        Ok(u8::from(bytes.first() != Some(&0)).to_string())
    }

    fn text(&self, leaf: &Leaf) -> Answer {
        let data = self.data(leaf)?;
        match leaf.maxlen {
            0 => Err(Unread::Nothing),
            len => self.string(data, len),
        }
    }

    /// The string at `data` that has room for `len` bytes.
    pub(super) fn string(&self, data: VirtAddr, len: usize) -> Answer {
        // Room that nothing is in may end in a page that is not there.
        let len = len.min(MAX_LEN);
        Ok(self.kernel.space.read_c_string(data, len)?)
    }

    /// Ranges of set bits; `maxlen` counts bits, and the data are a pointer to them.
    fn bitmap(&self, leaf: &Leaf) -> Answer {
        let data = self.data(leaf)?;
        let map = self.kernel.space.read_ptr(data)?;
        if map.is_null() || leaf.maxlen == 0 {
            return Err(Unread::Nothing);
        }
        let bits = leaf.maxlen.min(MAX_BITS);
        let bytes = self.kernel.space.read_bytes(map, bits.div_ceil(64) * 8)?;
        Ok(ranges(&bytes, bits))
    }
}

/// Numbers with tabs between them.
pub(super) fn tabs(numbers: impl Iterator<Item = u64>) -> String {
    let all: Vec<String> = numbers.map(|number| number.to_string()).collect();
    all.join("\t")
}

/// A signed number whose amount is converted.
fn signed(word: u32, convert: impl Fn(u64) -> u64) -> String {
    let value = word.cast_signed();
    let amount = convert(u64::from(value.unsigned_abs()));
    match value < 0 {
        true => format!("-{amount}"),
        false => amount.to_string(),
    }
}

/// `0-3,8`: the ranges of bits that are set among the first `bits`.
fn ranges(bytes: &[u8], bits: usize) -> String {
    let set = |bit: usize| {
        let byte = bytes.get(bit / 8).copied().unwrap_or(0);
        bit < bits && byte >> (bit % 8) & 1 == 1
    };
    let mut parts = Vec::new();
    let mut bit = 0;
    while bit < bits {
        if !set(bit) {
            bit += 1;
            continue;
        }
        let first = bit;
        while set(bit) {
            bit += 1;
        }
        match bit - 1 {
            last if last == first => parts.push(first.to_string()),
            last => parts.push(format!("{first}-{last}")),
        }
    }
    parts.join(",")
}

/// A bitmap in hexadecimal, as `%*pb` prints it: words of 32 bits, the highest first, with
/// commas between them.
pub(super) fn hex_bitmap(bytes: &[u8], bits: usize) -> String {
    let words = bits.div_ceil(32).max(1);
    let mut out = String::new();
    for index in (0..words).rev() {
        let word = u32_at(bytes, index * 4).unwrap_or(0);
        let here = (bits - index * 32).min(32);
        let mask = u32::MAX >> (32 - here.max(1));
        let digits = here.div_ceil(4);
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(&format!("{:0digits$x}", word & mask));
    }
    out
}

/// Text of an array that holds a string.
pub(super) fn array_text(bytes: &[u8]) -> String {
    c_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_print_as_ranges_and_in_hexadecimal() {
        assert_eq!(ranges(&[0b1111_1011, 1, 0], 24), "0-1,3-8");
        assert_eq!(ranges(&[0xff], 3), "0-2");
        assert_eq!(ranges(&[0; 8], 64), "");
        assert_eq!(hex_bitmap(&[3, 0, 0, 0, 0, 0, 0, 0], 2), "3");
        assert_eq!(hex_bitmap(&[0xff; 8], 36), "f,ffffffff");
        assert_eq!(hex_bitmap(&[0; 8], 64), "00000000,00000000");
    }

    #[test]
    fn a_sign_stays_outside_of_the_conversion() {
        assert_eq!(signed(0xffff_ffff, |n| n / 250), "-0");
        assert_eq!(signed((-500i32).cast_unsigned(), |n| n / 250), "-2");
        assert_eq!(signed(500, |n| n / 250), "2");
    }
}
