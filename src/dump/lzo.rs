//! LZO1X decompression, in safe code.
//!
//! The stream format is that of the kernel's Documentation/staging/lzo.rst,
//! without its bitstream-version 1 (run-length) extension, which makedumpfile
//! never writes. Input: one compressed page; output: exactly one page.
//! Invariant: no input reads or writes outside the two slices.

/// Why a stream could not be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LzoError {
    InputOverrun,
    OutputOverrun,
    LookBehind,
    BadEnd,
}

impl LzoError {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            LzoError::InputOverrun => "LZO stream ends too early",
            LzoError::OutputOverrun => "LZO stream yields more than a page",
            LzoError::LookBehind => "LZO match points before the page",
            LzoError::BadEnd => "LZO stream has a bad end marker",
        }
    }
}

struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<usize, LzoError> {
        let byte = *self.bytes.get(self.at).ok_or(LzoError::InputOverrun)?;
        self.at += 1;
        Ok(usize::from(byte))
    }

    fn le16(&mut self) -> Result<usize, LzoError> {
        Ok(self.byte()? | self.byte()? << 8)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], LzoError> {
        let taken = self
            .bytes
            .get(self.at..self.at.saturating_add(len))
            .ok_or(LzoError::InputOverrun)?;
        self.at += len;
        Ok(taken)
    }

    /// A length field of zero continues: each zero byte adds 255, the first other byte ends it.
    fn long_length(&mut self, base: usize) -> Result<usize, LzoError> {
        let mut len = base;
        loop {
            match self.byte()? {
                0 => len += 255,
                last => return Ok(len + last),
            }
        }
    }
}

struct Output<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

/// Most runs and matches are shorter: they are copied as a whole chunk, without a call, where
/// there is room for it. What is written too much lies behind `at`, and is written again.
const CHUNK: usize = 16;

impl Output<'_> {
    fn literals(&mut self, input: &mut Input<'_>, len: usize) -> Result<(), LzoError> {
        if len <= CHUNK
            && let Some(from) = chunk_at(input.bytes, input.at)
            && self.put_chunk(from)
        {
            input.at += len;
            self.at += len;
            return Ok(());
        }
        let from = input.take(len)?;
        let to = self
            .bytes
            .get_mut(self.at..self.at.saturating_add(len))
            .ok_or(LzoError::OutputOverrun)?;
        to.copy_from_slice(from);
        self.at += len;
        Ok(())
    }

    fn copy_match(&mut self, distance: usize, len: usize) -> Result<(), LzoError> {
        let from = self.at.checked_sub(distance).ok_or(LzoError::LookBehind)?;
        let end = self.at.saturating_add(len);
        if end > self.bytes.len() {
            return Err(LzoError::OutputOverrun);
        }
        if len <= CHUNK
            && distance >= CHUNK
            && let Some(chunk) = chunk_at(self.bytes, from)
            && self.put_chunk(chunk)
        {
            self.at = end;
            return Ok(());
        }
        // A match may overlap its own output: then what is there repeats with period
        // `distance`, so each round may copy all that the rounds before it wrote.
        while self.at < end {
            let chunk = (self.at - from).min(end - self.at);
            self.bytes.copy_within(from..from + chunk, self.at);
            self.at += chunk;
        }
        Ok(())
    }

    /// Whether there was room for it.
    fn put_chunk(&mut self, chunk: [u8; CHUNK]) -> bool {
        let room = self.bytes.get_mut(self.at..);
        let to = room.and_then(|room| room.first_chunk_mut());
        to.map(|to| *to = chunk).is_some()
    }
}

fn chunk_at(bytes: &[u8], at: usize) -> Option<[u8; CHUNK]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Decompresses `src` into `dst`; returns the number of bytes written.
pub(crate) fn decompress(src: &[u8], dst: &mut [u8]) -> Result<usize, LzoError> {
    let mut input = Input { bytes: src, at: 0 };
    let mut output = Output { bytes: dst, at: 0 };

    // How many literals preceded the next instruction: 0 after a bare match, 1 to 3 after a
    // match with trailing literals, 4 after a run. It decides what a code below 16 means.
    let mut state = 0;
    if src.first().is_some_and(|&byte| byte > 17) {
        let len = input.byte()? - 17;
        output.literals(&mut input, len)?;
        state = len.min(4);
    }
    loop {
        let code = input.byte()?;
        let (distance, len, trailing) = match code {
            0..=15 if state == 0 => {
                let len = if code == 0 {
                    input.long_length(18)?
                } else {
                    code + 3
                };
                output.literals(&mut input, len)?;
                state = 4;
                continue;
            }
            0..=15 => {
                let near = (code >> 2) + (input.byte()? << 2);
                if state == 4 {
                    (near + 2049, 3, code & 3)
                } else {
                    (near + 1, 2, code & 3)
                }
            }
            16..=31 => {
                let len = match code & 7 {
                    0 => input.long_length(9)?,
                    short => short + 2,
                };
                let tail = input.le16()?;
                let distance = 16384 + ((code & 8) << 11) + (tail >> 2);
                if distance == 16384 {
                    return finish(&input, output.at, code, tail);
                }
                (distance, len, tail & 3)
            }
            32..=63 => {
                let len = match code & 31 {
                    0 => input.long_length(33)?,
                    short => short + 2,
                };
                let tail = input.le16()?;
                ((tail >> 2) + 1, len, tail & 3)
            }
            _ => {
                let distance = ((code >> 2) & 7) + (input.byte()? << 3) + 1;
                (distance, (code >> 5) + 1, code & 3)
            }
        };
        output.copy_match(distance, len)?;
        output.literals(&mut input, trailing)?;
        state = trailing;
    }
}

/// The end marker is exactly 17, 0, 0, with nothing behind it.
fn finish(input: &Input<'_>, written: usize, code: usize, tail: usize) -> Result<usize, LzoError> {
    if code == 17 && tail == 0 && input.at == input.bytes.len() {
        Ok(written)
    } else {
        Err(LzoError::BadEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_then_end() {
        let mut out = [0; 8];
        let src = [17 + 5, b'h', b'e', b'l', b'l', b'o', 17, 0, 0];
        assert_eq!(decompress(&src, &mut out), Ok(5));
        assert_eq!(&out[..5], b"hello");
    }

    #[test]
    fn overlapping_match_repeats() {
        // four literals, then an M3 match of 33 + 1 bytes at distance 1
        let mut out = [0; 64];
        let src = [17 + 4, 1, 2, 3, 4, 32, 1, 0, 0, 17, 0, 0];
        assert_eq!(decompress(&src, &mut out), Ok(38));
        assert_eq!(&out[..4], &[1, 2, 3, 4]);
        assert!(out[4..38].iter().all(|&b| b == 4));
    }

    /// Every instruction of Documentation/staging/lzo.rst that copies: from how far back, how
    /// much, and how many literals follow.
    #[test]
    fn every_kind_of_match() {
        let random = |n: usize| (n as u32).wrapping_mul(0x9e37_79b9).to_be_bytes()[0];
        let head: Vec<u8> = (0..40_000).map(random).collect();
        // 40,000 literals: 18, then 255 for each zero byte, then the rest.
        let mut start = vec![0];
        start.resize(1 + (40_000 - 18 - 1) / 255, 0);
        start.push(((40_000 - 18 - 1) % 255 + 1) as u8);
        start.extend_from_slice(&head);
        let check = |code: &[u8], distance: usize, len: usize, literals: &[u8]| {
            let src = [&start, code, literals, &[17, 0, 0]].concat();
            let mut out = vec![0; 50_000];
            let end = head.len() + len + literals.len();
            assert_eq!(decompress(&src, &mut out), Ok(end), "{code:?}");
            let from = head.len() - distance;
            let copied: Vec<u8> = (0..len).map(|n| out[from + n]).collect();
            assert_eq!(out[head.len()..head.len() + len], copied, "{code:?}");
            assert_eq!(&out[head.len() + len..end], literals, "{code:?}");
        };
        // After a run of literals: three bytes from 2049 back and further.
        check(&[0b0000_0000, 0], 2049, 3, &[]);
        check(&[0b0000_1101, 7], 2049 + 3 + (7 << 2), 3, &[1]);
        // 16 KiB back and further: the distance's high bit, its low bits, its length.
        check(&[0b0001_0011, 0b0000_0110, 0x02], 16384 + 0x81, 5, &[8, 9]);
        check(&[0b0001_1111, 0b0000_0100, 0x00], 32768 + 1, 9, &[]);
        check(
            &[0b0001_0000, 0, 3, 0b0000_0100, 0x10],
            16384 + 0x401,
            9 + 255 + 3,
            &[],
        );
        // Up to 16 KiB back.
        check(&[0b0010_0101, 0b0001_0111, 0x01], 0x45 + 1, 7, &[4, 5, 6]);
        check(&[0b0010_0000, 9, 0b0000_0000, 0x20], 0x800 + 1, 33 + 9, &[]);
        // Up to 2 KiB back, short.
        check(&[0b0101_0110, 3], (3 << 3) + 5 + 1, 3, &[7, 7]);
        check(&[0b0110_1000, 0xff], (0xff << 3) + 2 + 1, 4, &[]);
        check(&[0b1011_1100, 1], (1 << 3) + 7 + 1, 6, &[]);
        check(&[0b1110_0001, 0], 1, 8, &[9]);
    }

    /// After a match and one to three literals, a low code copies two bytes from nearby.
    #[test]
    fn matches_after_a_few_literals() {
        let head: Vec<u8> = (1..=60).collect();
        let mut src = vec![17 + 60];
        src.extend_from_slice(&head);
        // Three bytes from 20 back, and two literals; then two from 30 back, and one literal;
        // then two from one back.
        src.extend_from_slice(&[0b0100_1110, 2, 101, 102]);
        src.extend_from_slice(&[0b0000_0101, 7, 103]);
        src.extend_from_slice(&[0b0000_0000, 0]);
        src.extend_from_slice(&[17, 0, 0]);
        let mut out = [0; 80];
        assert_eq!(decompress(&src, &mut out), Ok(70));
        let near = |end: usize, back: usize| out[end - back];
        assert_eq!(out[60..63], [41, 42, 43]);
        assert_eq!(out[63..65], [101, 102]);
        assert_eq!(out[65..67], [near(65, 30), near(66, 30)]);
        assert_eq!(out[67], 103);
        assert_eq!(out[68..70], [103, 103]);
    }

    #[test]
    fn bad_streams_are_refused() {
        let mut out = [0; 4];
        assert_eq!(decompress(&[], &mut out), Err(LzoError::InputOverrun));
        assert_eq!(
            decompress(&[17 + 5, 1, 2, 3, 4, 5], &mut out),
            Err(LzoError::OutputOverrun)
        );
        assert_eq!(
            decompress(&[17 + 1, 1, 64, 1, 0], &mut out),
            Err(LzoError::LookBehind)
        );
        assert_eq!(
            decompress(&[17 + 1, 1, 18, 0, 0], &mut out),
            Err(LzoError::BadEnd)
        );
    }

    #[test]
    fn no_input_of_three_bytes_panics() {
        let mut out = [0; 64];
        for code in 0..1u32 << 24 {
            if code % 7 == 0 {
                out.fill(0xee);
                let written = decompress(&code.to_le_bytes(), &mut out);
                let behind = written.unwrap_or(out.len());
                assert!(out[behind..].iter().all(|byte| *byte == 0xee), "{code:#x}");
            }
        }
    }
}
