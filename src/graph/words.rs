//! Memory as words, and those of them that may be addresses.

pub(super) fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().map(|word| u64::from_le_bytes(*word))
}

/// Hands all words that may be addresses of the kernel to `each`, with their offsets: those that
/// begin with 0xff, as all do that the kernel has with 4 and with 5 levels. Eight words are asked
/// at a time, since most of memory holds none.
pub(super) fn each_address(bytes: &[u8], mut each: impl FnMut(usize, u64)) {
    let mut block_at = 0;
    let (blocks, rest) = bytes.as_chunks::<64>();
    for block in blocks {
        let carried = words(block).fold(0, |all, word| all | ((word >> 56) + 1));
        if carried & 0x100 != 0 {
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
    use super::each_address;

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
}
