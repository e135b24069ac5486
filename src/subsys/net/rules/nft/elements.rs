//! Elements of sets: parts behind a table of their offsets (`struct nft_set_ext`).

use super::super::hex::Hex;
use super::tables::Reader;
use super::{Data, Element, Set, udata};
use crate::addr::VirtAddr;
use crate::bytes::u64_at;
use crate::kernel::{Kernel, KernelError};

/// What an element has, at most: keys, data and expressions of a set are bounded by 8 bits each.
const MOST: usize = 8 << 10;
/// Bytes that a set's verdict data take.
const VERDICT: u32 = 0xffff_ff00;
/// NFT_SET_ELEM_CATCHALL.
const CATCHALL: u32 = 2;

/// Which place in the table tells of what; `None` if this kernel has no such part.
#[derive(Debug, Default)]
pub(super) struct Parts {
    key: Option<usize>,
    key_end: Option<usize>,
    data: Option<usize>,
    flags: Option<usize>,
    timeout: Option<usize>,
    /// Up to 6.11.
    expiration: Option<usize>,
    userdata: Option<usize>,
    /// 5.11 and later.
    exprs: Option<usize>,
    /// Up to 5.10.
    expr: Option<usize>,
    object: Option<usize>,
}

/// `enum nft_set_extensions` of this kernel.
pub(super) fn parts(kernel: &Kernel) -> Result<Parts, KernelError> {
    let all = kernel
        .types
        .enumeration("nft_set_extensions", "net/netfilter/nf_tables_api.c")?
        .unwrap_or_default();
    let named = |name: &str| {
        let found = all.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| usize::try_from(*value).ok())
    };
    Ok(Parts {
        key: named("NFT_SET_EXT_KEY"),
        key_end: named("NFT_SET_EXT_KEY_END"),
        data: named("NFT_SET_EXT_DATA"),
        flags: named("NFT_SET_EXT_FLAGS"),
        timeout: named("NFT_SET_EXT_TIMEOUT"),
        expiration: named("NFT_SET_EXT_EXPIRATION"),
        userdata: named("NFT_SET_EXT_USERDATA"),
        exprs: named("NFT_SET_EXT_EXPRESSIONS"),
        expr: named("NFT_SET_EXT_EXPR"),
        object: named("NFT_SET_EXT_OBJREF"),
    })
}

/// One element; `None` if it is not there yet or not any more.
pub(super) fn read(
    reader: &Reader<'_>,
    ext: VirtAddr,
    set: &Set,
    current: u64,
) -> Result<Option<Element>, ()> {
    let layout = &reader.sets.ext;
    let table = (layout.offsets.offset + layout.offsets.size) as usize;
    let head = reader.kernel.space.read_bytes(ext, table).map_err(|_| ())?;
    let genmask = head
        .get(layout.genmask.offset as usize)
        .copied()
        .unwrap_or(0);
    // Two bits are generations; with any other it is being taken out.
    if u64::from(genmask) & (current | !3) != 0 {
        return Ok(None);
    }
    let raw = Raw {
        reader,
        ext,
        offsets: head
            .get(layout.offsets.offset as usize..)
            .unwrap_or_default(),
    };
    raw.element(set)
}

struct Raw<'r, 'k> {
    reader: &'r Reader<'k>,
    ext: VirtAddr,
    offsets: &'r [u8],
}

impl Raw<'_, '_> {
    /// Where a part is.
    fn part(&self, index: Option<usize>) -> Option<VirtAddr> {
        let offset = *self.offsets.get(index?)?;
        (offset != 0).then(|| self.ext.plus(u64::from(offset)))
    }

    fn bytes(&self, index: Option<usize>, len: u32) -> Result<Option<Hex>, ()> {
        let Some(at) = self.part(index) else {
            return Ok(None);
        };
        let bytes = self
            .reader
            .kernel
            .space
            .read_bytes(at, (len as usize).min(MOST));
        bytes.map(|bytes| Some(Hex(bytes))).map_err(|_| ())
    }

    fn element(&self, set: &Set) -> Result<Option<Element>, ()> {
        let (parts, names) = (&self.reader.sets.parts, self.reader.names());
        let flags = self.bytes(parts.flags, 1)?;
        let flags = flags
            .and_then(|hex| hex.0.first().copied())
            .map_or(0, u32::from);
        let (timeout, expires) = self.times()?;
        let now = names.clock.map(|clock| clock.jiffies);
        if expires.zip(now).is_some_and(|(at, now)| at <= now) {
            // It has expired, and nobody came to collect it.
            return Ok(None);
        }
        let left = expires
            .zip(now)
            .map(|(at, now)| names.milliseconds(at - now));
        let userdata = match self.part(parts.userdata) {
            Some(at) => Some(self.reader.user_data(at).ok_or(())?),
            None => None,
        };
        let timeout = timeout.map(|jiffies| names.milliseconds(jiffies));
        Ok(Some(Element {
            key: match flags & CATCHALL {
                0 => self.bytes(parts.key, set.key_len)?,
                _ => None,
            },
            key_end: self.bytes(parts.key_end, set.key_len)?,
            flags,
            data: self.data(set)?,
            object: self.object()?,
            timeout_ms: timeout.filter(|own| *own != 0 && *own != set.timeout_ms),
            expires_ms: left,
            comment: userdata.as_deref().and_then(udata::comment),
            userdata: userdata.map(Hex),
            exprs: self.exprs()?,
        }))
    }

    /// Timeout and absolute expiration in jiffies: two parts, or one structure (`struct
    /// nft_timeout`, 6.12 and later).
    fn times(&self) -> Result<(Option<u64>, Option<u64>), ()> {
        let parts = &self.reader.sets.parts;
        let word = |hex: Hex, at| u64_at(&hex.0, at).ok_or(());
        if parts.expiration.is_some() {
            let timeout = self.bytes(parts.timeout, 8)?.map(|hex| word(hex, 0));
            let expiration = self.bytes(parts.expiration, 8)?.map(|hex| word(hex, 0));
            return Ok((timeout.transpose()?, expiration.transpose()?));
        }
        match self.bytes(parts.timeout, 16)? {
            Some(both) => {
                let timeout = word(both.clone(), 0)?;
                let expiration = word(both, 8)?;
                // Without a timeout it stays.
                Ok((Some(timeout), (timeout != 0).then_some(expiration)))
            }
            None => Ok((None, None)),
        }
    }

    fn data(&self, set: &Set) -> Result<Option<Data>, ()> {
        let data = self.reader.sets.parts.data;
        if set.data_type == VERDICT {
            let Some(bytes) = self.bytes(data, 16)? else {
                return Ok(None);
            };
            let verdict = self.reader.names().verdict(&bytes.0).ok_or(())?;
            return Ok(Some(Data::Verdict(verdict)));
        }
        Ok(self.bytes(data, set.data_len)?.map(Data::Value))
    }

    fn object(&self) -> Result<Option<String>, ()> {
        let Some(at) = self.part(self.reader.sets.parts.object) else {
            return Ok(None);
        };
        let object = self.reader.kernel.space.read_ptr(at).map_err(|_| ())?;
        Ok(Some(self.reader.names().object(object).1))
    }

    fn exprs(&self) -> Result<Vec<super::Expr>, ()> {
        let parts = &self.reader.sets.parts;
        let space = &self.reader.kernel.space;
        if let Some(at) = self.part(parts.exprs) {
            // `struct nft_set_elem_expr`: how many bytes of them, and they, aligned.
            let size = space.read_bytes(at, 1).map_err(|_| ())?;
            let size = size.first().copied().map_or(0, usize::from);
            let bytes = space.read_bytes(at.plus(8), size).map_err(|_| ())?;
            let (exprs, whole) = self.reader.decoder.all(&bytes);
            return if whole { Ok(exprs) } else { Err(()) };
        }
        match self.part(parts.expr) {
            Some(at) => Ok(vec![self.reader.decoder.at(at).ok_or(())?]),
            None => Ok(Vec::new()),
        }
    }
}
