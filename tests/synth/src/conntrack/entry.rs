//! One connection, independent of any kernel version.

use super::status::{ASSURED, CONFIRMED, DST_NAT, NAT_DONE, SEEN_REPLY, SRC_NAT};
use super::tuple::{L4, Tuple};

/// Ticks in a second.
pub const HZ: i32 = 250;

/// What a protocol remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing that /proc prints.
    Stateless,
    /// A name of `TCP_STATES`.
    Tcp(&'static str),
    /// A name of `SCTP_STATES`.
    Sctp(&'static str),
    /// A name of `DCCP_STATES`.
    Dccp(&'static str),
    /// Timeouts in seconds, before and after a reply.
    Gre {
        /// Unreplied.
        timeout: u32,
        /// Replied.
        stream_timeout: u32,
    },
}

/// Where the kernel keeps the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the hash, both directions.
    Hash,
    /// Its first packet is under way: on a CPU's list, or from 5.19 on nowhere.
    Unconfirmed,
    /// Taken from the hash; its destroy event is still to be delivered.
    Dying,
    /// Taken from the hash and referenced by somebody: on no list.
    Unlinked,
}

/// Packets and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// `nf_conntrack_zone`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// Number.
    pub id: u16,
    /// Directions it holds for: 1 original, 2 reply, 3 both.
    pub dir: u8,
}

/// Shift of one direction's TCP sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqAdj {
    /// From which sequence number on.
    pub correction_pos: u32,
    /// Shift before.
    pub before: i32,
    /// Shift after.
    pub after: i32,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of its namespace in the scenario.
    pub netns: usize,
    /// First packet's direction.
    pub original: Tuple,
    /// The answers' direction.
    pub reply: Tuple,
    /// Protocol state.
    pub state: State,
    /// `IPS_*` bits.
    pub status: u32,
    /// Ticks until it expires, negative if it has; the whole timeout while unconfirmed.
    pub left: i32,
    /// References.
    pub uses: u32,
    /// Mark.
    pub mark: u32,
    /// Security id.
    pub secmark: u32,
    /// Zone.
    pub zone: Zone,
    /// Where it is kept.
    pub place: Place,
    /// The bucket of both directions, where the scenario wants a certain one.
    pub bucket: Option<u64>,
    /// Number of the entry that expected it.
    pub master: Option<usize>,
    /// `NF_CT_EXT_ACCT`, by direction.
    pub counters: Option<[Counter; 2]>,
    /// `NF_CT_EXT_TSTAMP`: seconds since it began, and whether it has stopped.
    pub age: Option<(u64, bool)>,
    /// `NF_CT_EXT_LABELS`: 128 bits.
    pub labels: Option<u128>,
    /// `NF_CT_EXT_HELPER`: the helper's name.
    pub helper: Option<&'static str>,
    /// `NF_CT_EXT_TIMEOUT`: a policy of its own.
    pub timeout_policy: bool,
    /// `NF_CT_EXT_NAT`: interface index of MASQUERADE, else 0.
    pub masquerade: Option<u32>,
    /// `NF_CT_EXT_SEQADJ`, by direction.
    pub seqadj: Option<[SeqAdj; 2]>,
    /// `NF_CT_EXT_SYNPROXY`: isn, its, tsoff.
    pub synproxy: Option<[u32; 3]>,
    /// `NF_CT_EXT_ECACHE`: masks of events of the connection and of its expectations.
    pub ecache: Option<(u16, u16)>,
}

impl Entry {
    /// Confirmed, unreplied, with accounting, in the initial namespace's hash.
    pub fn new(original: Tuple, state: State, seconds: i32) -> Self {
        Self {
            netns: 0,
            original,
            reply: original.inverted(),
            state,
            status: CONFIRMED,
            left: seconds * HZ + 100,
            uses: 1,
            mark: 0,
            secmark: 0,
            zone: Zone { id: 0, dir: 3 },
            place: Place::Hash,
            bucket: None,
            master: None,
            counters: Some([
                Counter {
                    packets: 1,
                    bytes: 60,
                },
                Counter::default(),
            ]),
            age: None,
            labels: None,
            helper: None,
            timeout_policy: false,
            masquerade: None,
            seqadj: None,
            synproxy: None,
            ecache: None,
        }
    }

    /// With ports.
    pub fn ports(
        protonum: u8,
        (src, sport): (&str, u16),
        (dst, dport): (&str, u16),
        state: State,
        seconds: i32,
    ) -> Self {
        let l4 = L4::Ports {
            src: sport,
            dst: dport,
        };
        Self::new(Tuple::new(src, dst, protonum, l4), state, seconds)
    }

    /// With status bits.
    pub fn with(mut self, status: u32) -> Self {
        self.status |= status;
        self
    }

    /// A reply was seen; `packets` each way.
    pub fn replied(mut self, packets: u64) -> Self {
        self.status |= SEEN_REPLY;
        self.counters = Some([
            Counter {
                packets,
                bytes: packets * 52 + 1,
            },
            Counter {
                packets: packets + 1,
                bytes: packets * 1400,
            },
        ]);
        self
    }

    /// Replied and assured.
    pub fn assured(self, packets: u64) -> Self {
        self.replied(packets).with(ASSURED)
    }

    /// The source becomes `to`, as by SNAT; with an interface as by MASQUERADE.
    pub fn snat(mut self, to: (&str, u16), masquerade: u32) -> Self {
        self.reply = self.reply.to(to.0, to.1);
        self.masquerade = Some(masquerade);
        self.with(SRC_NAT | NAT_DONE)
    }

    /// The destination becomes `to`.
    pub fn dnat(mut self, to: (&str, u16)) -> Self {
        self.reply = self.reply.from(to.0, to.1);
        self.masquerade = self.masquerade.or(Some(0));
        self.with(DST_NAT | NAT_DONE)
    }

    /// Kept elsewhere than in the hash.
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        if place == Place::Unconfirmed {
            self.status &= !CONFIRMED;
        }
        self
    }

    /// Whether it waits to be collected.
    pub fn is_expired(&self) -> bool {
        self.status & CONFIRMED != 0 && self.left <= 0
    }
}
