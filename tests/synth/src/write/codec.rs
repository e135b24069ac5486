//! Page compression of the kdump format.

use std::io::Write;

use super::lzo;

/// How pages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// zlib.
    Zlib,
    /// LZO1X.
    Lzo,
    /// Snappy, raw format.
    Snappy,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// All of them.
    pub const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Zlib,
        Codec::Lzo,
        Codec::Snappy,
        Codec::Zstd,
    ];

    /// `DUMP_DH_COMPRESSED_*`.
    pub fn flag(self) -> u32 {
        match self {
            Codec::None => 0,
            Codec::Zlib => 0x1,
            Codec::Lzo => 0x2,
            Codec::Snappy => 0x4,
            Codec::Zstd => 0x20,
        }
    }

    /// A short name for files.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "raw",
            Codec::Zlib => "zlib",
            Codec::Lzo => "lzo",
            Codec::Snappy => "snappy",
            Codec::Zstd => "zstd",
        }
    }

    /// The page as stored, and its flag: as it is if compressing gains nothing.
    pub fn store(self, page: &[u8]) -> (Vec<u8>, u32) {
        let packed = match self {
            Codec::None => return (page.to_vec(), 0),
            Codec::Zlib => zlib(page),
            Codec::Lzo => lzo::compress(page),
            Codec::Snappy => snap::raw::Encoder::new()
                .compress_vec(page)
                .expect("a page is small enough"),
            Codec::Zstd => zstd::bulk::compress(page, 1).expect("compressing to memory"),
        };
        if packed.len() < page.len() {
            (packed, self.flag())
        } else {
            (page.to_vec(), 0)
        }
    }
}

/// A zlib stream.
pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}
