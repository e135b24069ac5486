//! The id that `conntrack -L -o id` shows: a keyed hash of addresses and tuple
//! (`nf_ct_get_id`, net/netfilter/nf_conntrack_core.c; SipHash-2-4), and the low half of the
//! address before there was one (5.2, commit 3c79107631db).

use std::hash::Hasher;

use siphasher::sip::SipHasher24;

use super::Symbols;
use super::entry::{Entry, EntryReader};
use crate::kernel::Kernel;

/// Computes ids.
#[derive(Clone, Copy, Debug)]
pub enum IdHasher {
    /// With this secret.
    Keyed(u64, u64),
    /// From the address alone.
    Address,
}

impl IdHasher {
    /// Reads the secret, a variable local to the function: the compiler numbers its symbol.
    /// `None` if there is none or no id was ever asked for.
    pub(crate) fn read(kernel: &Kernel, symbols: &dyn Symbols) -> Option<Self> {
        let at = std::iter::once("ct_id_seed".to_owned())
            .chain((0..256).map(|n| format!("ct_id_seed.{n}")))
            .find_map(|name| symbols.address(&name));
        let Some(at) = at else {
            let keyed = symbols.address("nf_ct_get_id").is_some();
            return (!keyed).then_some(Self::Address);
        };
        let key = (
            kernel.space.read_u64(at).ok()?,
            kernel.space.read_u64(at.plus(8)).ok()?,
        );
        (key != (0, 0)).then_some(Self::Keyed(key.0, key.1))
    }

    /// The id of a connection.
    pub(crate) fn id(&self, kernel: &Kernel, reader: &EntryReader, entry: &Entry) -> Option<u32> {
        let Self::Keyed(first, second) = *self else {
            return Some(entry.address.0 as u32);
        };
        let at = entry
            .address
            .plus(u64::from(reader.conn.tuplehash.offset) + u64::from(reader.hash.tuple.offset));
        let tuple = kernel.space.read_bytes(at, reader.tuple.struct_size).ok()?;
        let mut hasher = SipHasher24::new_with_keys(first, second);
        hasher.write(&tuple);
        let words = [
            entry.address.0,
            entry.master.0,
            entry.net.0,
            hasher.finish(),
        ];
        let mut hasher = SipHasher24::new_with_keys(first, second);
        for word in words {
            hasher.write(&word.to_le_bytes());
        }
        // The kernel hands the word out as it is; userspace takes it for network order.
        Some((hasher.finish() as u32).swap_bytes())
    }
}
