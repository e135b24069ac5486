//! A full table, for benchmarks.

use std::net::{IpAddr, Ipv4Addr};

use super::entry::{Counter, Entry, HZ, State};
use super::scenario::{Conntrack, Entries, Netns, Stat};
use super::status::{ASSURED, NAT_DONE, SEEN_REPLY, SRC_NAT, TCP, UDP};
use super::tuple::{L4, Tuple};
use crate::machine::cpus::POSSIBLE_CPUS;
use crate::slub::scenario::Scenario;

impl Scenario {
    /// `count` masqueraded connections in the initial namespace.
    pub fn conntrack_many(count: u64, buckets: u64) -> Self {
        let mut scenario = Self::standard();
        scenario.conntrack = Some(Conntrack {
            buckets: buckets.next_multiple_of(512),
            max: count as u32,
            netns: vec![Netns {
                inum: 4_026_531_840,
                stats: vec![Stat::default(); POSSIBLE_CPUS as usize],
            }],
            entries: Entries::Many(count),
            stale: 0,
            expectations: Vec::new(),
            gc_age: 3 * HZ as u32,
        });
        scenario
    }
}

/// The entry with a number: TCP and UDP from a private network to many servers.
pub fn entry(number: u64) -> Entry {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let host = 1 + (number / 60_000) as u32 * 256 + (mixed % 250) as u32;
    let client = Ipv4Addr::from(0x0a00_0000 | (host & 0xff_ffff));
    let server = Ipv4Addr::from(0xc633_6400 + (mixed >> 8) as u32 % 200);
    let port = 1024 + (number % 60_000) as u16;
    let (protonum, state, dport) = match mixed % 10 {
        0..6 => (TCP, State::Tcp("ESTABLISHED"), 443),
        6 => (TCP, State::Tcp("TIME_WAIT"), 80),
        7 => (TCP, State::Tcp("SYN_SENT"), 443),
        _ => (UDP, State::Stateless, 53),
    };
    let l4 = L4::Ports {
        src: port,
        dst: dport,
    };
    let original = Tuple {
        src: IpAddr::V4(client),
        dst: IpAddr::V4(server),
        protonum,
        l4,
    };
    let mut entry = Entry::new(original, state, 10 + (mixed % 400_000) as i32);
    entry.status |= SRC_NAT | NAT_DONE;
    // So many external addresses that every translated port is used once.
    let outside = Ipv4Addr::from(0xcb00_7100 + (number / 60_000) as u32);
    entry.reply.dst = IpAddr::V4(outside);
    entry.masquerade = Some(2);
    entry.age = Some((mixed % 5000, false));
    if state != State::Tcp("SYN_SENT") {
        entry.status |= SEEN_REPLY | ASSURED;
        let packets = 1 + mixed % 1000;
        let counter = Counter {
            packets,
            bytes: packets * 700,
        };
        entry.counters = Some([counter, counter]);
    }
    entry
}
