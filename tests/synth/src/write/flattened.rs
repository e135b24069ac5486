//! makedumpfile's flattened format: a stream of (offset, bytes) for a dump that
//! could not seek.
//!
//! Records come in any order and may overwrite each other; the last one counts.

/// Bytes of the header.
const HEADER_SIZE: usize = 4096;
/// Odd on purpose: records end in the middle of pages and of structures.
const CHUNK: usize = 61_441;

/// Wraps a dump. Records are shuffled in pairs, and some bytes are first written
/// wrong and then right.
pub fn flatten(dump: &[u8]) -> Vec<u8> {
    let mut out = header();
    let chunks: Vec<_> = dump.chunks(CHUNK).enumerate().collect();
    for pair in chunks.chunks(2) {
        for (index, chunk) in pair.iter().rev() {
            let offset = index * CHUNK;
            if index % 5 == 3 {
                // A stale version over the border to the next chunk.
                let stale = vec![0xee; chunk.len() / 2];
                record(&mut out, offset, &stale);
            }
            record(&mut out, offset, chunk);
        }
    }
    // As makedumpfile does: the headers last, when their numbers are known.
    let start = &dump[..dump.len().min(8192)];
    record(&mut out, 0, start);
    out.extend_from_slice(&(-1i64).to_be_bytes());
    out.extend_from_slice(&(-1i64).to_be_bytes());
    out
}

fn header() -> Vec<u8> {
    let mut out = b"makedumpfile".to_vec();
    out.resize(16, 0);
    out.extend_from_slice(&1i64.to_be_bytes()); // type
    out.extend_from_slice(&1i64.to_be_bytes()); // version
    out.resize(HEADER_SIZE, 0);
    out
}

fn record(out: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    out.extend_from_slice(&(offset as i64).to_be_bytes());
    out.extend_from_slice(&(bytes.len() as i64).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Puts a flattened dump together again; for tests of the writer.
pub fn rearrange(flat: &[u8]) -> Vec<u8> {
    let number = |at: usize| {
        let bytes = flat[at..at + 8].try_into().expect("eight bytes");
        i64::from_be_bytes(bytes)
    };
    let mut out = Vec::new();
    let mut at = HEADER_SIZE;
    while number(at) >= 0 {
        let (offset, size) = (number(at) as usize, number(at + 8) as usize);
        at += 16;
        if out.len() < offset + size {
            out.resize(offset + size, 0);
        }
        out[offset..offset + size].copy_from_slice(&flat[at..at + size]);
        at += size;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_counts() {
        let dump: Vec<u8> = (0..400_000u32).map(|number| (number % 251) as u8).collect();
        let flat = flatten(&dump);
        assert!(flat.len() > dump.len() + HEADER_SIZE);
        assert_eq!(rearrange(&flat), dump);
    }
}
