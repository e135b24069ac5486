//! `nf_ct_ext`: what an entry carries besides its fixed members.

use super::entry::Entry;
use super::fields::Fields;
use crate::machine::identity::CRASHTIME;

/// `NF_CT_EXT_PREALLOC`: the smallest allocation.
const PREALLOC: usize = 128;
/// Nanoseconds past the second at which everything began.
const START_NSEC: u64 = 250_000_000;

/// Addresses that extensions hold.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Links {
    /// Of the `nf_conntrack_helper`.
    pub(super) helper: u64,
    /// Of the `nf_ct_timeout`.
    pub(super) policy: u64,
}

/// When the entry began, in nanoseconds since 1970.
pub(super) fn started(entry: &Entry) -> Option<u64> {
    let (age, _) = entry.age?;
    Some((CRASHTIME - age - 1) * 1_000_000_000 + START_NSEC)
}

/// When it was destroyed; 0 while it lives.
pub(super) fn stopped(entry: &Entry) -> u64 {
    match entry.age {
        Some((_, true)) => (CRASHTIME - 1) * 1_000_000_000 + START_NSEC,
        _ => 0,
    }
}

/// One extension: its id's enumerator and its bytes.
type Part = (&'static str, Vec<u8>);

/// The block of extensions in the order in which the kernel adds them, if there is any.
pub(super) fn bytes(fields: &mut Fields, entry: &Entry, links: Links) -> Option<Vec<u8>> {
    let parts = parts(fields, entry, links);
    if parts.is_empty() {
        return None;
    }
    let mut block = vec![0; fields.sizeof("nf_ct_ext")];
    let offsets = fields.offset("nf_ct_ext", "offset");
    let wide = is_wide(fields);
    for (id, data) in parts {
        let id = fields.constant(id).expect("an extension of this kernel");
        block.resize(block.len().next_multiple_of(8), 0);
        let at = block.len() as u16;
        match wide {
            true => block[offsets + 2 * id..][..2].copy_from_slice(&at.to_le_bytes()),
            false => block[offsets + id] = at as u8,
        }
        block.extend_from_slice(&data);
    }
    assert!(block.len() < 256, "offsets are bytes");
    let length = block.len() as u64;
    fields.put(&mut block, "nf_ct_ext", "len", length);
    block.resize(block.len().max(PREALLOC), 0);
    Some(block)
}

/// Whether offsets have two bytes (up to 4.11).
pub(super) fn is_wide(fields: &mut Fields) -> bool {
    let end = fields.offset("nf_ct_ext", "len");
    end - fields.offset("nf_ct_ext", "offset") > 16
}

fn parts(fields: &mut Fields, entry: &Entry, links: Links) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(words) = entry.synproxy {
        let data = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        parts.push(("NF_CT_EXT_SYNPROXY", data));
    }
    if entry.timeout_policy {
        let mut data = vec![0; fields.sizeof("nf_conn_timeout")];
        fields.put(&mut data, "nf_conn_timeout", "timeout", links.policy);
        parts.push(("NF_CT_EXT_TIMEOUT", data));
    }
    if let Some(counters) = entry.counters {
        let words = counters.iter().flat_map(|each| [each.packets, each.bytes]);
        let data: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        assert_eq!(data.len(), 2 * fields.sizeof("nf_conn_counter"));
        parts.push(("NF_CT_EXT_ACCT", data));
    }
    if fields.constant("NF_CT_EXT_ZONE").is_some() && (entry.zone.id, entry.zone.dir) != (0, 3) {
        let id = entry.zone.id.to_le_bytes();
        parts.push(("NF_CT_EXT_ZONE", vec![id[0], id[1], 0, entry.zone.dir]));
    }
    if let Some(start) = started(entry) {
        let mut data = vec![0; fields.sizeof("nf_conn_tstamp")];
        fields.put(&mut data, "nf_conn_tstamp", "start", start);
        fields.put(&mut data, "nf_conn_tstamp", "stop", stopped(entry));
        parts.push(("NF_CT_EXT_TSTAMP", data));
    }
    if let Some(labels) = entry.labels {
        parts.push(("NF_CT_EXT_LABELS", labels.to_le_bytes().to_vec()));
    }
    if let Some((events, expectations)) = entry.ecache {
        let mut data = vec![0; fields.sizeof("nf_conntrack_ecache")];
        let tag = "nf_conntrack_ecache";
        fields.put(&mut data, tag, "ctmask", u64::from(events));
        fields.put(&mut data, tag, "expmask", u64::from(expectations));
        parts.push(("NF_CT_EXT_ECACHE", data));
    }
    if entry.helper.is_some() {
        let mut data = vec![0; fields.sizeof("nf_conn_help")];
        fields.put(&mut data, "nf_conn_help", "helper", links.helper);
        parts.push(("NF_CT_EXT_HELPER", data));
    }
    if let Some(interface) = entry.masquerade {
        let mut data = vec![0; fields.sizeof("nf_conn_nat")];
        let interface = u64::from(interface);
        fields.put(&mut data, "nf_conn_nat", "masq_index", interface);
        parts.push(("NF_CT_EXT_NAT", data));
    }
    if let Some(both) = entry.seqadj {
        let mut data = Vec::new();
        for each in both {
            data.extend_from_slice(&each.correction_pos.to_le_bytes());
            data.extend_from_slice(&each.before.to_le_bytes());
            data.extend_from_slice(&each.after.to_le_bytes());
        }
        assert_eq!(data.len(), fields.sizeof("nf_conn_seqadj"));
        parts.push(("NF_CT_EXT_SEQADJ", data));
    }
    parts
}
