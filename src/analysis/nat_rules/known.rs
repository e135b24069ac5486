//! What is known of a packet that is gone.

use std::net::IpAddr;

use super::Packet;

/// A part of a header, as far as the tuples tell it.
pub(super) fn payload(packet: &Packet, base: u8, offset: u32, len: u32) -> Option<Vec<u8>> {
    let mut header = [None; 40];
    let mut put = |at: usize, bytes: &[u8]| {
        for (slot, byte) in header.iter_mut().skip(at).zip(bytes) {
            *slot = Some(*byte);
        }
    };
    match (base, packet.src, packet.dst) {
        (1, IpAddr::V4(src), IpAddr::V4(dst)) => {
            put(9, &[packet.l4]);
            put(12, &src.octets());
            put(16, &dst.octets());
        }
        (1, IpAddr::V6(src), IpAddr::V6(dst)) => {
            put(6, &[packet.l4]);
            put(8, &src.octets());
            put(24, &dst.octets());
        }
        (2, ..) => {
            if let Some((src, dst)) = packet.ports {
                put(0, &src.to_be_bytes());
                put(2, &dst.to_be_bytes());
            }
            if let Some((kind, code)) = packet.icmp {
                put(0, &[kind, code]);
            }
        }
        _ => return None,
    }
    let part = header.get(offset as usize..(offset as usize).checked_add(len as usize)?)?;
    part.iter().copied().collect()
}

/// What is known of a packet besides.
pub(super) fn meta(packet: &Packet, name: &str) -> Option<Vec<u8>> {
    Some(match name {
        "nfproto" => vec![packet.family],
        "l4proto" => vec![packet.l4],
        "protocol" => match packet.family {
            10 => vec![0x86, 0xdd],
            _ => vec![0x08, 0x00],
        },
        "oif" => packet.out.as_ref()?.0.to_le_bytes().to_vec(),
        "oifname" => {
            let mut name = packet.out.as_ref()?.1.clone().into_bytes();
            name.resize(16, 0);
            name
        }
        _ => return None,
    })
}
