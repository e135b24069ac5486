//! Words of infos made by hand, as ebtables 2.0.11 prints what was given as these.

use super::*;

fn put(bytes: &mut [u8], parts: &[(usize, &[u8])]) {
    for (at, value) in parts {
        bytes[*at..*at + value.len()].copy_from_slice(value);
    }
}

fn info(len: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    put(&mut bytes, parts);
    bytes
}

fn matching(name: &str, bytes: &[u8]) -> String {
    matches::text(name, Info(bytes)).expect("known")
}

#[test]
fn matches_of_packets() {
    let udp = info(
        28,
        &[
            (17, &[17, 0x38, 0x20]),
            (20, &1000u16.to_le_bytes()),
            (22, &2000u16.to_le_bytes()),
            (24, &[53, 0, 53, 0]),
        ],
    );
    assert_eq!(
        matching("ip", &udp),
        "--ip-proto udp --ip-sport 1000:2000 --ip-dport ! 53 "
    );
    let odd = info(
        28,
        &[(0, &[10, 1, 0, 0]), (8, &[255, 255, 0, 255]), (18, &[1, 1])],
    );
    assert_eq!(matching("ip", &odd), "--ip-src ! 10.1.0.0/255.255.0.255 ");
    let icmp = info(28, &[(18, &[0x40]), (20, &[3, 5, 0, 0, 1, 2])]);
    assert_eq!(matching("ip", &icmp), "--ip-icmp-type 3:5/1:2 ");
    let arp = info(52, &[(4, &[0, 2]), (2, &[8, 0]), (48, &[0x85, 0x81])]);
    assert_eq!(
        matching("arp", &arp),
        "--arp-op ! Reply --arp-ptype IPv4 ! --arp-gratuitous "
    );
}

#[test]
fn marks_and_rates() {
    let all = u64::MAX.to_le_bytes();
    let mark = info(24, &[(0, &[5]), (8, &all), (17, &[1])]);
    assert_eq!(matching("mark_m", &mark), "--mark 0x5 ");
    let any = info(24, &[(8, &[7]), (16, &[1, 2])]);
    assert_eq!(matching("mark_m", &any), "--mark ! /0x7 ");
    let limit = info(40, &[(0, &2000u32.to_le_bytes()), (4, &[10])]);
    assert_eq!(matching("limit", &limit), "--limit 5/sec --limit-burst 10 ");
    let set = info(16, &[(0, &[5]), (8, &0xffff_fffd_u32.to_le_bytes())]);
    assert_eq!(
        targets::text("mark", Info(&set)).expect("known"),
        "mark --mark-set 0x5 --mark-target CONTINUE"
    );
}

#[test]
fn a_rule_with_what_is_not_known_shows_its_bytes() {
    let mut header = vec![0; 98];
    put(
        &mut header,
        &[
            (0, &[9]),
            (4, &[2]),
            (8, &[0x88, 0xcc]),
            (10, b"p\x01"),
            (74, &[2, 0, 0, 0, 0, 0xa]),
            (80, &[0xff; 6]),
        ],
    );
    let extension = |name: &str, bytes: &[u8]| Extension {
        name: name.to_owned(),
        revision: 1,
        info: crate::subsys::net::rules::Hex(bytes.to_vec()),
    };
    let rule = XRule {
        packets: Some(3),
        bytes: Some(84),
        header: crate::subsys::net::rules::Hex(header),
        matches: vec![extension("new", &[1, 2])],
        watchers: vec![extension("log", &[9; 36])],
        target: XTarget::Extension(extension("redirect", &[0xff; 4])),
    };
    let chain = XChain {
        name: "FORWARD".to_owned(),
        hook: Some(2),
        policy: Some(XVerdict::Accept),
        packets: None,
        bytes: None,
        rules: Vec::new(),
    };
    let log = "09".repeat(36);
    assert_eq!(
        rule_line(&chain, &rule, true),
        format!(
            "-A FORWARD -p LLDP -s 2:0:0:0:0:a -i ! p+ -m new.1 0x0102 --log.1 0x{log} -j redirect -c 3 84"
        )
    );
}

#[test]
fn no_bytes_are_too_few() {
    let names = [
        "802_3", "among", "arp", "ip", "ip6", "limit", "mark_m", "pkttype", "stp", "vlan",
    ];
    for name in names {
        for len in 0..96 {
            // Nothing but that it ends.
            let _ = matches::text(name, Info(&vec![0xff; len]));
            let _ = targets::text(name, Info(&vec![0xff; len]));
        }
    }
}
