//! Memory as words, and those of them that may be addresses.

pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word))
}

/// What words have in common beside those that may be addresses: all bits from `shift` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    shift: u32,
    bits: u64,
}

impl Prefix {
    /// Of all words from `first` to `last`; `None` if that says nothing, for most words are small
    /// numbers.
    pub(super) fn of(first: u64, last: u64) -> Option<Self> {
        // The highest bit is left to tell that a word has them.
        let shift = (u64::BITS - (first ^ last).leading_zeros()).max(1);
        let bits = first.checked_shr(shift)?;
        (bits != 0).then_some(Self { shift, bits })
    }
}

/// Hands all words that may be addresses of the kernel to `each`, with their offsets: those that
/// begin with 0xff, as all do that the kernel has with 4 and with 5 levels. Eight words are asked
/// at a time, since most of memory holds none.
pub(super) fn each_address(bytes: &[u8], each: impl FnMut(usize, u64)) {
    each_address_and(bytes, None, each);
}

/// The same, and words that have what is looked for `besides`.
pub(super) fn each_address_and(
    bytes: &[u8],
    besides: Option<Prefix>,
    mut each: impl FnMut(usize, u64),
) {
    let mut block_at = 0;
    let (blocks, rest) = bytes.as_chunks::<64>();
    for block in blocks {
        let carried = words(block).fold(0, |all, word| all | ((word >> 56) + 1));
        // Less one, only zero borrows from the highest bit.
        let met = besides.is_some_and(|prefix| {
            let borrowed = words(block).fold(0, |all, word| {
                all | ((word >> prefix.shift) ^ prefix.bits).wrapping_sub(1)
            });
            borrowed >> 63 != 0
        });
        if carried & 0x100 != 0 || met {
            for (index, word) in words(block).enumerate() {
                each(block_at + index * 8, word);
            }
        }
        block_at += 64;
    }
    for (index, word) in words(rest).enumerate() {
        each(block_at + index * 8, word);
    }
}

#[cfg(test)]
mod tests {
    use super::{Prefix, each_address, each_address_and};

    #[test]
    fn every_word_that_may_be_an_address_is_handed_on() {
        let mut memory = vec![0u64; 8 * 3 + 5];
        let addresses = [
            (0, 0xffff_8880_0000_1000),
            (7, 0xff11_0000_0000_2000),
            (17, 0xffff_ffff_8100_0000),
            (26, 0xffff_c900_0000_0000),
            (28, u64::MAX),
        ];
        for (index, word) in addresses {
            memory[index] = word;
        }
        memory[9] = 0x7fff_ffff_ffff_ffff;
        let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut found = Vec::new();
        each_address(&bytes, |offset, word| {
            if word >= 1 << 63 {
                found.push((offset / 8, word));
            }
        });
        assert_eq!(found, addresses);
    }

    #[test]
    fn words_of_a_prefix_are_handed_on_too() {
        let wanted = 0x0000_60fe_c012_3458;
        let prefix = Prefix::of(0x0000_60fe_c000_0000, 0x0000_60fe_c0ff_ffff);
        let mut memory = [7u64; 8 * 3];
        memory[12] = wanted;
        let bytes: Vec<u8> = memory.iter().flat_map(|word| word.to_le_bytes()).collect();
        let found = |prefix| {
            let mut found = Vec::new();
            each_address_and(&bytes, prefix, |offset, word| found.push((offset, word)));
            found
        };
        assert_eq!(found(None), []);
        let met = found(prefix);
        assert_eq!((met.len(), met[4]), (8, (96, wanted)), "its eight words");
        assert_eq!(Prefix::of(0, 0xffff), None);
    }
}
