//! Decompression of one page.
//!
//! Each thread keeps its decoder state: making a zstd context for every page
//! costs more than the decompression itself. Output is capped at one page, so
//! a hostile stream can't make memory grow.

use std::cell::RefCell;
use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use serde::Serialize;

use super::lzo;

/// How a page is stored (`page_desc.flags`, makedumpfile's diskdump_mod.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Stored as it is.
    None,
    /// zlib streams (`-c`).
    Zlib,
    /// LZO1X (`-l`).
    Lzo,
    /// Snappy (`-p`).
    Snappy,
    /// Zstandard (`-z`).
    Zstd,
}

impl Codec {
    /// The codec that a page descriptor's or header's flags name; `None` for flags unknown.
    pub(crate) fn from_flags(flags: u32) -> Option<Self> {
        match flags & 0x27 {
            0x00 => Some(Codec::None),
            0x01 => Some(Codec::Zlib),
            0x02 => Some(Codec::Lzo),
            0x04 => Some(Codec::Snappy),
            0x20 => Some(Codec::Zstd),
            _ => None,
        }
    }

    /// Decompresses `src` so that it fills `page` exactly, or says why not.
    ///
    /// # Errors
    /// If the stream is damaged, or yields less or more than a page; `page` then holds anything.
    pub fn decompress(self, src: &[u8], page: &mut [u8]) -> Result<(), &'static str> {
        decompress(self, src, page)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::None => "uncompressed",
            Codec::Zlib => "zlib",
            Codec::Lzo => "lzo",
            Codec::Snappy => "snappy",
            Codec::Zstd => "zstd",
        })
    }
}

struct Decoders {
    zlib: Decompress,
    snappy: snap::raw::Decoder,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

thread_local! {
    static DECODERS: RefCell<Decoders> = RefCell::new(Decoders {
        zlib: Decompress::new(true),
        snappy: snap::raw::Decoder::new(),
        zstd: None,
    });
}

/// Decompresses `src` so that it fills `page` exactly, or says why not.
fn decompress(codec: Codec, src: &[u8], page: &mut [u8]) -> Result<(), &'static str> {
    let written = match codec {
        Codec::None => {
            if src.len() != page.len() {
                return Err("stored page is not as long as a page");
            }
            page.copy_from_slice(src);
            src.len()
        }
        Codec::Lzo => lzo::decompress(src, page).map_err(lzo::LzoError::describe)?,
        Codec::Zlib | Codec::Snappy | Codec::Zstd => {
            DECODERS.with_borrow_mut(|decoders| decoders.run(codec, src, page))?
        }
    };
    if written == page.len() {
        Ok(())
    } else {
        Err("stream yields less than a page")
    }
}

impl Decoders {
    fn run(&mut self, codec: Codec, src: &[u8], page: &mut [u8]) -> Result<usize, &'static str> {
        match codec {
            Codec::Zlib => {
                self.zlib.reset(true);
                match self.zlib.decompress(src, page, FlushDecompress::Finish) {
                    Ok(Status::StreamEnd) => usize::try_from(self.zlib.total_out())
                        .map_err(|_| "zlib stream yields too much"),
                    Ok(_) => Err("zlib stream does not end with the page"),
                    Err(_) => Err("zlib stream is damaged"),
                }
            }
            Codec::Snappy => self
                .snappy
                .decompress(src, page)
                .map_err(|_| "snappy stream is damaged"),
            Codec::Zstd => {
                if self.zstd.is_none() {
                    self.zstd = zstd::bulk::Decompressor::new().ok();
                }
                self.zstd
                    .as_mut()
                    .ok_or("no memory for a zstd context")?
                    .decompress_to_buffer(src, page)
                    .map_err(|_| "zstd stream is damaged")
            }
            Codec::None | Codec::Lzo => Err("not a codec with state"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn page() -> Vec<u8> {
        (0..4096u32).map(|i| (i / 7 % 251) as u8).collect()
    }

    #[test]
    fn every_codec_round_trips() {
        let want = page();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&want).unwrap();
        let streams = [
            (Codec::None, want.clone()),
            (Codec::Zlib, zlib.finish().unwrap()),
            (
                Codec::Snappy,
                snap::raw::Encoder::new().compress_vec(&want).unwrap(),
            ),
            (Codec::Zstd, zstd::bulk::compress(&want, 1).unwrap()),
        ];
        for (codec, stream) in streams {
            let mut got = vec![0; 4096];
            assert_eq!(decompress(codec, &stream, &mut got), Ok(()), "{codec}");
            assert!(got == want, "{codec}");
            assert!(
                decompress(codec, &stream[..stream.len() - 1], &mut got).is_err(),
                "{codec}"
            );
        }
    }

    #[test]
    fn a_stream_longer_than_a_page_is_refused() {
        let big = zstd::bulk::compress(&vec![0; 1 << 20], 1).unwrap();
        let mut got = vec![0; 4096];
        assert!(decompress(Codec::Zstd, &big, &mut got).is_err());
    }
}
