//! Compressed files as a whole: modules installed as `.ko.gz`, `.ko.xz` or `.ko.zst`, a vmlinux
//! packed by hand, the kernel in a vmlinuz.
//!
//! Input: the bytes of a file. Output: what they unpack to, or `None` if they are not
//! compressed; the magic decides, not the name. Invariant: nothing unpacks to more than
//! [`MAX_UNPACKED`], whatever the stream claims.

use std::io::{self, Read};

use super::{lz4, vmlinuz};
use xz4rust::{DICT_SIZE_MIN, DICT_SIZE_PROFILE_9, XzDecoder, XzNextBlockResult};

/// The largest module with debug information (amdgpu) has some 500 MiB.
pub(super) const MAX_UNPACKED: u64 = 2 << 30;

/// Bytes decoded per step.
const STEP: usize = 1 << 18;

/// Unpacks `raw` if it starts as a gzip, xz, zstd or (old) LZ4 stream, or is a vmlinuz.
pub(super) fn unpack(raw: &[u8]) -> Option<io::Result<Vec<u8>>> {
    if !vmlinuz::is_vmlinuz(raw) {
        return unpack_at_most(raw, MAX_UNPACKED);
    }
    let invalid = |why: String| io::Error::new(io::ErrorKind::Unsupported, why);
    let Some(payload) = vmlinuz::payload(raw) else {
        let why = "a vmlinuz without the packed kernel that its header names";
        return Some(Err(invalid(why.to_owned())));
    };
    let unpacked = unpack_at_most(payload, MAX_UNPACKED);
    Some(unpacked.unwrap_or_else(|| {
        let with = vmlinuz::packed_with(payload);
        let why = format!("a vmlinuz packed with {with}; give the vmlinux of the debug package");
        Err(invalid(why))
    }))
}

/// The first bytes, at most `most`, of what `start`, the beginning of a file, unpacks to; `None`
/// if it is not packed.
pub(crate) fn unpacked_start(start: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; most];
    let mut filled = 0;
    if start.starts_with(b"\xfd7zXZ\0") {
        let mut decoder =
            XzDecoder::in_heap_with_alloc_dict_size(DICT_SIZE_MIN, DICT_SIZE_PROFILE_9);
        filled = decoder.decode(start, &mut out).ok()?.output_produced();
    } else {
        let mut decoder: Box<dyn Read + '_> = match start {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::GzDecoder::new(start)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::new(start).ok()?),
            _ => return None,
        };
        // The stream goes on behind `start`: what comes before that is enough.
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            match decoder.read(room) {
                Ok(0) | Err(_) => break,
                Ok(len) => filled += len,
            }
        }
    }
    out.truncate(filled);
    Some(out)
}

/// As [`unpack`], to at most `most` bytes.
pub(super) fn unpack_at_most(raw: &[u8], most: u64) -> Option<io::Result<Vec<u8>>> {
    if raw.starts_with(&[0x1f, 0x8b]) {
        Some(drain(flate2::read::MultiGzDecoder::new(raw), most))
    } else if raw.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::new(raw);
        Some(decoder.and_then(|decoder| drain(decoder, most)))
    } else if raw.starts_with(b"\xfd7zXZ\0") {
        Some(unxz(raw, most))
    } else if raw.starts_with(&lz4::MAGIC) {
        Some(lz4::unpack(raw, most))
    } else {
        None
    }
}

fn drain(decoder: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    decoder.take(most + 1).read_to_end(&mut out)?;
    if out.len() as u64 > most {
        return Err(too_large(most));
    }
    Ok(out)
}

fn unxz(mut raw: &[u8], most: u64) -> io::Result<Vec<u8>> {
    let mut decoder = XzDecoder::in_heap_with_alloc_dict_size(DICT_SIZE_MIN, DICT_SIZE_PROFILE_9);
    let mut out = Vec::new();
    let mut step = vec![0; STEP];
    loop {
        let result = decoder
            .decode(raw, &mut step)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        out.extend_from_slice(step.get(..result.output_produced()).unwrap_or_default());
        if out.len() as u64 > most {
            return Err(too_large(most));
        }
        raw = raw.get(result.input_consumed()..).unwrap_or_default();
        match result {
            XzNextBlockResult::EndOfStream(..) => return Ok(out),
            _ if !result.made_progress() => return Err(io::ErrorKind::UnexpectedEof.into()),
            XzNextBlockResult::NeedMoreData(..) => {}
        }
    }
}

fn too_large(most: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it unpacks to more than {most} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sample() -> Vec<u8> {
        (0..300_000u32)
            .flat_map(|n| (n / 7).to_le_bytes())
            .collect()
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// "kernel module\n" by `xz --check=crc32 --lzma2=dict=1MiB`, as the kernel's build runs it.
    const XZ: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21,
        0x01, 0x10, 0x00, 0x00, 0x00, 0xa8, 0x70, 0x8e, 0x86, 0x01, 0x00, 0x0d, 0x6b, 0x65, 0x72,
        0x6e, 0x65, 0x6c, 0x20, 0x6d, 0x6f, 0x64, 0x75, 0x6c, 0x65, 0x0a, 0x00, 0x00, 0x00, 0xf8,
        0x8c, 0xbc, 0x25, 0x00, 0x01, 0x22, 0x0e, 0x0c, 0xde, 0x8c, 0x60, 0x90, 0x42, 0x99, 0x0d,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x59, 0x5a,
    ];

    #[test]
    fn gzip_and_zstd_unpack_by_their_magic() {
        let plain = sample();
        let zst = zstd::encode_all(plain.as_slice(), 1).unwrap();
        for packed in [gz(&plain), zst] {
            assert_eq!(unpack(&packed).unwrap().unwrap(), plain);
            assert!(unpack_at_most(&packed, 1000).unwrap().is_err());
        }
        assert!(unpack(b"\x7fELF").is_none());
        assert!(unpack(b"").is_none());
    }

    #[test]
    fn xz_unpacks() {
        assert_eq!(unpack(XZ).unwrap().unwrap(), b"kernel module\n");
        assert!(unpack_at_most(XZ, 5).unwrap().is_err());
    }

    #[test]
    fn the_start_of_a_stream_is_enough_to_know_it() {
        let plain = sample();
        let zst = zstd::encode_all(plain.as_slice(), 1).unwrap();
        for packed in [gz(&plain), zst] {
            let half = &packed[..packed.len() / 2];
            assert_eq!(unpacked_start(half, 64).unwrap(), plain[..64]);
        }
        assert_eq!(unpacked_start(XZ, 6).unwrap(), b"kernel");
        assert_eq!(unpacked_start(b"\x7fELF", 6), None);
    }

    #[test]
    fn a_stream_cut_short_is_an_error() {
        let zst = zstd::encode_all(sample().as_slice(), 1).unwrap();
        for packed in [gz(&sample()), zst, XZ.to_vec()] {
            for len in [packed.len() - 1, packed.len() / 2, 8] {
                assert!(unpack(&packed[..len]).unwrap().is_err(), "{len}");
            }
        }
    }
}
