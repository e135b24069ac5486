//! The table that has one of everything.

use super::entry::{Entry, HZ, Place, SeqAdj, State, Zone};
use super::scenario::{Conntrack, Entries, Expectation, Netns, Stat};
use super::status::{
    ASSURED, DCCP, DYING, EXPECTED, FIXED_TIMEOUT, GRE, HELPER, HW_OFFLOAD, ICMP, ICMPV6, OFFLOAD,
    SCTP, SEEN_REPLY, SEQ_ADJUST, TCP, UDP, UDPLITE,
};
use super::tuple::{L4, Tuple};
use crate::machine::cpus::POSSIBLE_CPUS;
use crate::slub::scenario::Scenario;

const CLIENT: &str = "192.168.1.10";
const OTHER: &str = "192.168.1.11";
const SERVER: &str = "203.0.113.9";
const OUTSIDE: &str = "203.0.113.1";
const CLIENT6: &str = "fd00:1::10";
const SERVER6: &str = "2001:db8::9";
/// Interface of MASQUERADE.
const WAN: u32 = 3;
/// The bucket whose chain is long.
pub const LONG_BUCKET: u64 = 7;

impl Scenario {
    /// The standard caches, and connections of every kind in two namespaces.
    pub fn conntrack() -> Self {
        let mut scenario = Self::standard();
        scenario.conntrack = Some(Conntrack::standard());
        scenario
    }
}

impl Conntrack {
    /// One of everything.
    pub fn standard() -> Self {
        let mut entries = tcp();
        entries.extend(datagrams());
        entries.extend(others());
        entries.extend(translated());
        entries.extend(decorated());
        entries.extend(departing());
        entries.extend(crowd());
        let expectations = expectations(&mut entries);
        Self {
            buckets: 1024,
            max: 8192,
            netns: vec![netns(4_026_531_840, 1), netns(4_026_532_441, 100)],
            entries: Entries::Listed(entries),
            stale: 6,
            expectations,
            gc_age: 5 * HZ as u32,
        }
    }
}

fn netns(inum: u32, factor: u32) -> Netns {
    let stat = |cpu: u32| Stat {
        clash_resolve: cpu,
        found: 7 * factor + cpu,
        invalid: 3 * factor,
        chaintoolong: cpu * 2,
        insert: factor + 1,
        insert_failed: 5 * factor + cpu,
        drop: 11 * cpu,
        early_drop: 13 * factor * cpu,
        error: 2,
        expect_new: 1,
        expect_create: 4,
        expect_delete: cpu,
        search_restart: 17,
    };
    Netns {
        inum,
        stats: (0..POSSIBLE_CPUS).map(stat).collect(),
    }
}

fn tcp4(sport: u16, dport: u16, state: &'static str, seconds: i32) -> Entry {
    Entry::ports(
        TCP,
        (CLIENT, sport),
        (SERVER, dport),
        State::Tcp(state),
        seconds,
    )
}

fn udp4(sport: u16, dport: u16, seconds: i32) -> Entry {
    Entry::ports(
        UDP,
        (CLIENT, sport),
        (SERVER, dport),
        State::Stateless,
        seconds,
    )
}

/// Every TCP state, both families.
fn tcp() -> Vec<Entry> {
    let six = |sport, state, seconds| {
        let state = State::Tcp(state);
        Entry::ports(TCP, (CLIENT6, sport), (SERVER6, 443), state, seconds)
    };
    vec![
        tcp4(40000, 443, "NONE", 9),
        tcp4(40001, 443, "SYN_SENT", 119),
        tcp4(40002, 443, "SYN_RECV", 59).replied(1),
        tcp4(40003, 443, "ESTABLISHED", 431_999).assured(100),
        tcp4(40004, 443, "FIN_WAIT", 110).assured(10),
        tcp4(40005, 443, "CLOSE_WAIT", 55).assured(20),
        tcp4(40006, 443, "LAST_ACK", 25).assured(30),
        tcp4(40007, 443, "TIME_WAIT", 77).assured(40),
        tcp4(40008, 443, "CLOSE", 4).assured(50),
        tcp4(40009, 443, "SYN_SENT2", 100),
        six(50000, "ESTABLISHED", 431_000).assured(5_000_000_000),
        six(50001, "SYN_SENT", 60),
    ]
}

/// UDP and UDP-Lite.
fn datagrams() -> Vec<Entry> {
    let six = Entry::ports(UDP, (CLIENT6, 5353), (SERVER6, 53), State::Stateless, 29);
    let lite = Entry::ports(
        UDPLITE,
        (CLIENT, 7000),
        (SERVER, 7001),
        State::Stateless,
        28,
    );
    let mut bare = udp4(30003, 9999, 27);
    bare.counters = None;
    vec![
        udp4(30000, 53, 29),
        udp4(30001, 53, 25).replied(1),
        udp4(30002, 443, 119).assured(12),
        bare,
        six.replied(2),
        lite.replied(3),
    ]
}

/// Protocols with and without states of their own.
fn others() -> Vec<Entry> {
    let echo = |kind, id| L4::Icmp { kind, code: 0, id };
    let plain = |protonum, l4, state, seconds| {
        Entry::new(Tuple::new(CLIENT, SERVER, protonum, l4), state, seconds)
    };
    let sctp = |sport, state| {
        let state = State::Sctp(state);
        Entry::ports(SCTP, (CLIENT, sport), (SERVER, 36412), state, 200)
    };
    let gre = State::Gre {
        timeout: 30,
        stream_timeout: 180,
    };
    let keys = L4::Gre {
        src: 0x1234,
        dst: 0xabc,
    };
    let dccp = State::Dccp("PARTOPEN");
    let echo6 = Tuple::new(CLIENT6, SERVER6, ICMPV6, echo(128, 0xbeef));
    vec![
        plain(ICMP, echo(8, 4711), State::Stateless, 29),
        plain(ICMP, echo(13, 2), State::Stateless, 15).replied(1),
        Entry::new(echo6, State::Stateless, 28).replied(4),
        sctp(5000, "ESTABLISHED").assured(9),
        sctp(5001, "COOKIE_WAIT"),
        sctp(5002, "HEARTBEAT_SENT").replied(1),
        Entry::ports(DCCP, (CLIENT, 6000), (SERVER, 6001), dccp, 240).replied(2),
        plain(GRE, keys, gre, 179).assured(8),
        plain(GRE, L4::Gre { src: 0, dst: 0 }, gre, 30),
        plain(50, L4::Nothing, State::Stateless, 599).replied(6),
        plain(99, L4::Nothing, State::Stateless, 300),
    ]
}

/// Addresses and ports translated in every way.
fn translated() -> Vec<Entry> {
    let inbound = |sport, dport| {
        let state = State::Tcp("ESTABLISHED");
        Entry::ports(TCP, (SERVER, sport), (OUTSIDE, dport), state, 431_000).assured(7)
    };
    let ping = L4::Icmp {
        kind: 8,
        code: 0,
        id: 99,
    };
    let ping = Entry::new(Tuple::new(OTHER, SERVER, ICMP, ping), State::Stateless, 20);
    vec![
        tcp4(41000, 80, "ESTABLISHED", 400_000)
            .assured(3)
            .snat((OUTSIDE, 41000), 0),
        tcp4(41001, 80, "ESTABLISHED", 400_001)
            .assured(3)
            .snat((OUTSIDE, 1024), WAN),
        udp4(41002, 53, 30).snat((OUTSIDE, 41002), WAN),
        ping.replied(1).snat((OUTSIDE, 1), WAN),
        inbound(42000, 80).dnat(("192.168.1.10", 80)),
        inbound(42001, 8443)
            .dnat(("192.168.1.12", 443))
            .snat(("192.168.1.1", 42001), 0),
        // Asked for translation and got none.
        tcp4(41003, 80, "SYN_SENT", 100).with(super::status::NAT_DONE),
    ]
}

/// Marks, zones, extensions and another namespace.
fn decorated() -> Vec<Entry> {
    let mut found: Vec<Entry> = (0..8)
        .map(|port| udp4(43000 + port, 500, 100).replied(2))
        .collect();
    found[0].mark = 42;
    found[1].mark = 0xffff_0001;
    found[1].secmark = 17;
    found[2].zone = Zone { id: 5, dir: 3 };
    found[3].zone = Zone { id: 6, dir: 1 };
    found[4].zone = Zone { id: 65535, dir: 2 };
    found[5].labels = Some(1 << 127 | 0b101);
    found[5].age = Some((45, false));
    found[6].timeout_policy = true;
    found[6].ecache = Some((0xffff, 0x7));
    found[7].uses = 4;

    let adj = |before, after| SeqAdj {
        correction_pos: 0x8000_0001,
        before,
        after,
    };
    let mut whole = tcp4(43100, 21, "ESTABLISHED", 431_900)
        .assured(60)
        .with(SEQ_ADJUST | HELPER);
    whole = whole.snat((OUTSIDE, 43100), WAN);
    whole.helper = Some("ftp");
    whole.seqadj = Some([adj(0, 12), adj(-3, -5)]);
    whole.synproxy = Some([1, 2, 3]);
    whole.labels = Some(7);
    whole.age = Some((100_000, false));
    whole.ecache = Some((0xf, 0));
    whole.mark = 1;
    found.push(whole);
    found.push(
        tcp4(43101, 443, "ESTABLISHED", 86_400)
            .assured(70)
            .with(OFFLOAD),
    );
    found.push(
        udp4(43102, 443, 86_400)
            .assured(80)
            .with(OFFLOAD | HW_OFFLOAD),
    );
    for (port, mark) in [(44000, 0), (44001, 9)] {
        let mut elsewhere = udp4(port, 53, 25).replied(1);
        elsewhere.netns = 1;
        elsewhere.mark = mark;
        elsewhere.age = Some((3, false));
        found.push(elsewhere);
    }
    found
}

/// Expired, dying, unconfirmed, leaked.
fn departing() -> Vec<Entry> {
    let mut expired = udp4(45000, 53, 0).replied(1);
    expired.left = -3 * HZ;
    // So long ago that its timeout lies before the counter's last overflow.
    let mut long_ago = tcp4(45001, 443, "TIME_WAIT", 0).assured(2);
    long_ago.left = -1000 * HZ;
    let mut now = udp4(45002, 53, 0);
    now.left = 0;
    let mut dying = tcp4(45003, 443, "CLOSE", 0).assured(3).with(DYING);
    dying.left = -HZ;
    dying.uses = 2;
    let mut gone = tcp4(45004, 443, "TIME_WAIT", 0)
        .assured(4)
        .with(DYING)
        .at(Place::Dying);
    gone.left = -2 * HZ;
    gone.age = Some((60, true));
    let mut gone_elsewhere = udp4(45005, 53, -1).with(DYING).at(Place::Dying);
    gone_elsewhere.netns = 1;
    let mut leaked = tcp4(45006, 443, "CLOSE", 0)
        .assured(5)
        .with(DYING)
        .at(Place::Unlinked);
    leaked.left = -500 * HZ;
    let mut fresh = udp4(45008, 53, 30).at(Place::Unconfirmed);
    fresh.netns = 1;
    vec![
        expired,
        long_ago,
        now,
        dying,
        udp4(45009, 53, 3000).replied(1).with(FIXED_TIMEOUT),
        gone,
        gone_elsewhere,
        leaked,
        tcp4(45007, 443, "SYN_SENT", 120).at(Place::Unconfirmed),
        udp4(45010, 53, 30).at(Place::Unconfirmed),
        fresh,
    ]
}

/// So many in one bucket that both directions of each are in its chain.
fn crowd() -> Vec<Entry> {
    (0..10)
        .map(|port| {
            let mut entry = udp4(46000 + port, 4500, 170).with(SEEN_REPLY | ASSURED);
            entry.bucket = Some(LONG_BUCKET);
            entry
        })
        .collect()
}

/// Expectations of helpers, and a connection that was expected.
fn expectations(entries: &mut Vec<Entry>) -> Vec<Expectation> {
    let master = |dport, helper, entries: &mut Vec<Entry>| {
        let mut entry = udp4(47000 + dport, dport, 200).replied(5).with(HELPER);
        entry.helper = Some(helper);
        entries.push(entry);
        entries.len() - 1
    };
    let ftp = entries.iter().position(|each| each.helper == Some("ftp"));
    let ftp = ftp.expect("an entry with a helper");
    let tftp = master(69, "tftp", entries);
    let sip = master(5060, "sip", entries);
    let mut elsewhere = udp4(47001, 69, 200).replied(1).with(HELPER);
    elsewhere.helper = Some("tftp");
    elsewhere.netns = 1;
    entries.push(elsewhere);
    let far = entries.len() - 1;
    let mut data = tcp4(47002, 2021, "ESTABLISHED", 431_000)
        .assured(9)
        .with(EXPECTED);
    data.master = Some(ftp);
    entries.push(data);
    let expected = |master, protonum, dport, class, flags, seconds| Expectation {
        master,
        tuple: Tuple::new(SERVER, OUTSIDE, protonum, L4::Ports { src: 0, dst: dport }),
        class,
        flags,
        left: seconds * HZ + 50,
    };
    vec![
        expected(ftp, TCP, 2020, 0, 0, 250),
        expected(tftp, UDP, 40000, 0, 0, 291),
        expected(tftp, UDP, 40001, 0, 4, 290),
        expected(sip, UDP, 5060, 0, 1, 3000),
        expected(sip, UDP, 5004, 1, 3, 30),
        expected(far, UDP, 40002, 0, 0, 5),
    ]
}
