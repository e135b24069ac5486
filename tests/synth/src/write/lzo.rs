//! A small LZO1X encoder: literal runs and matches of the 16 KiB kind.
//!
//! Instructions used, as Documentation/staging/lzo.rst of the kernel names them:
//!
//! | first byte | meaning |
//! |---|---|
//! | 18..=255, at the start only | `n - 17` literals |
//! | `0000LLLL` | 3 + L literals, or 18 + more if L is 0 |
//! | `001LLLLL DDDDDDSS DDDDDDDD` | copy 2 + L bytes, or 33 + more if L is 0, from D + 1 back, then S literals |
//! | 0x11 0 0 | end |

const MIN_MATCH: usize = 4;

/// Compresses a block.
pub(crate) fn compress(input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut seen = std::collections::HashMap::new();
    // Where the last match's low distance byte stands: short runs of literals
    // are counted in its two low bits.
    let mut state = None;
    let (mut at, mut literals) = (0, 0);
    while at + MIN_MATCH <= input.len() {
        let key = &input[at..at + MIN_MATCH];
        let Some(from) = seen.insert(key, at) else {
            at += 1;
            continue;
        };
        let length = common(&input[from..], &input[at..]);
        run(&mut out, &input[literals..at], state);
        state = Some(copy(&mut out, at - from, length));
        at += length;
        literals = at;
    }
    run(&mut out, &input[literals..], state);
    out.extend_from_slice(&[0x11, 0, 0]);
    out
}

fn common(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(one, other)| one == other).count()
}

/// A run of literals: at the start of the stream (no state), or after a match.
fn run(out: &mut Vec<u8>, literals: &[u8], state: Option<usize>) {
    match (literals.len(), state) {
        (0, _) => {}
        (count @ 1..=3, Some(slot)) => out[slot] |= count as u8,
        (count @ 1..=238, None) => out.push(count as u8 + 17),
        (count @ 4..=18, _) => out.push(count as u8 - 3),
        (count, _) => {
            out.push(0);
            extend(out, count - 18);
        }
    }
    out.extend_from_slice(literals);
}

fn copy(out: &mut Vec<u8>, distance: usize, length: usize) -> usize {
    assert!(distance <= 0x4000, "distance {distance}");
    if length <= 33 {
        out.push(0x20 | (length as u8 - 2));
    } else {
        out.push(0x20);
        extend(out, length - 33);
    }
    let slot = out.len();
    out.extend_from_slice(&(((distance - 1) as u16) << 2).to_le_bytes());
    slot
}

/// A count that did not fit: 255 for each zero byte, the rest in a last one, not 0.
fn extend(out: &mut Vec<u8>, count: usize) {
    let zeros = (count - 1) / 255;
    out.resize(out.len() + zeros, 0);
    out.push((count - zeros * 255) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes what [`compress`] may write.
    fn expand(input: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        let mut at = 0;
        let mut literals = 0;
        if input[0] > 17 {
            literals = usize::from(input[0]) - 17;
            at = 1;
        }
        loop {
            out.extend_from_slice(&input[at..at + literals]);
            at += literals;
            let code = usize::from(input[at]);
            at += 1;
            let mut count = |base: usize, low: usize| {
                if low != 0 {
                    return low;
                }
                let mut sum = base;
                while input[at] == 0 {
                    sum += 255;
                    at += 1;
                }
                at += 1;
                sum + usize::from(input[at - 1])
            };
            literals = match code {
                0x11 => return out,
                0..=15 => 3 + count(15, code),
                32..=63 => {
                    let length = 2 + count(31, code & 31);
                    let word = usize::from(u16::from_le_bytes([input[at], input[at + 1]]));
                    at += 2;
                    for _ in 0..length {
                        out.push(out[out.len() - 1 - (word >> 2)]);
                    }
                    word & 3
                }
                _ => panic!("instruction {code:#x} at {at}"),
            };
        }
    }

    #[test]
    fn round_trips() {
        let mut random = crate::random::Random::new(1);
        for kind in 0..40 {
            let length = 1 + random.below(4096) as usize;
            let block: Vec<u8> = (0..length)
                .map(|index| match kind % 4 {
                    0 => 0,
                    1 => random.below(3) as u8,
                    2 => (index % 300) as u8,
                    _ => random.word() as u8,
                })
                .collect();
            assert_eq!(expand(&compress(&block)), block, "{kind}");
        }
        assert!(compress(&[7; 4096]).len() < 40);
    }
}
