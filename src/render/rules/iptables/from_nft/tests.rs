use super::*;
use crate::render::rules::iptables::{Around, SetNames, rule_line};
use crate::subsys::net::rules::Hex;
use crate::subsys::net::rules::nft::Family;
use crate::subsys::net::rules::nft::Rule;
use crate::subsys::net::rules::nft::expr::{BitOp, CmpOp, Expr, Reg};

fn words(words: &[u32]) -> Hex {
    Hex(words.iter().flat_map(|word| word.to_le_bytes()).collect())
}

fn rule(exprs: Vec<Expr>, comment: Option<&str>) -> Rule {
    Rule {
        handle: 2,
        exprs,
        comment: comment.map(str::to_owned),
        userdata: None,
        cut: false,
    }
}

fn line(family: u8, exprs: Vec<Expr>, comment: Option<&str>) -> Option<String> {
    let chain = Chain {
        name: "INPUT".to_owned(),
        handle: 1,
        uses: 0,
        flags: 1,
        comment: None,
        base: None,
        rules: vec![rule(exprs, comment)],
    };
    let made = chain_of(family, &chain)?;
    let sets = SetNames::new();
    let sets = &sets;
    Some(rule_line(Around { family, sets }, &made, &made.rules[0]))
}

fn meta(name: &'static str) -> Expr {
    let (key, dreg) = (0, Reg(4));
    Expr::MetaLoad { key, name, dreg }
}

fn payload(base: u8, offset: u32, len: u32) -> Expr {
    let dreg = Reg(4);
    Expr::Payload {
        base,
        offset,
        len,
        dreg,
    }
}

fn cmp(op: CmpOp, data: Hex) -> Expr {
    let sreg = Reg(4);
    Expr::Cmp { op, sreg, data }
}

fn masked(mask: Hex) -> Expr {
    Expr::Bitwise {
        op: BitOp::MaskXor,
        sreg: Reg(4),
        sreg2: None,
        dreg: Reg(4),
        mask,
        xor: Hex::default(),
        shift: 0,
    }
}

/// As `nft --debug=netlink` shows what iptables-nft 1.8.9 made of the line.
#[test]
fn a_rule_is_what_it_was_made_of() {
    let exprs = vec![
        meta("iifname"),
        cmp(CmpOp::Neq, Hex(b"eth".to_vec())),
        meta("l4proto"),
        cmp(CmpOp::Eq, Hex(vec![6])),
        payload(1, 12, 4),
        masked(words(&[0x00f0_ffff])),
        cmp(CmpOp::Eq, words(&[0x0000_010a])),
        payload(2, 2, 2),
        Expr::Range {
            negated: false,
            sreg: Reg(4),
            from: Hex(vec![0, 80]),
            to: Hex(vec![1, 0xbb]),
        },
        Expr::Counter {
            packets: 7,
            bytes: 420,
        },
        Expr::Verdict {
            verdict: Verdict::Accept,
        },
    ];
    let expected = "[7:420] -A INPUT -s 10.1.0.0/20 ! -i eth+ -p tcp -m tcp --dport 80:443 \
                    -m comment --comment \"a b\" -j ACCEPT";
    assert_eq!(line(2, exprs, Some("a b")).as_deref(), Some(expected));
}

/// Before 1.8.9 the protocol of IPv4 was read from its header, and an address of whole bytes
/// never had a mask.
#[test]
fn what_older_ones_made_is_known_too() {
    let exprs = vec![
        payload(1, 16, 3),
        cmp(CmpOp::Neq, Hex(vec![192, 168, 7])),
        payload(1, 9, 1),
        cmp(CmpOp::Eq, Hex(vec![17])),
        Expr::Counter {
            packets: 0,
            bytes: 0,
        },
        Expr::Verdict {
            verdict: Verdict::Goto("far".to_owned()),
        },
    ];
    let expected = "[0:0] -A INPUT ! -d 192.168.7.0/24 -p udp -g far";
    assert_eq!(line(2, exprs, None).as_deref(), Some(expected));
    let exprs = vec![
        payload(1, 8, 16),
        cmp(CmpOp::Eq, Hex([[0xfd; 1].as_slice(), &[0; 15]].concat())),
        meta("oifname"),
        cmp(CmpOp::Eq, Hex(b"INVAL/D\0".to_vec())),
        Expr::Limit {
            rate: 3,
            unit_seconds: 60,
            burst: 5,
            bytes: false,
            inverted: false,
        },
        Expr::Counter {
            packets: 0,
            bytes: 0,
        },
    ];
    let expected = "[0:0] -A INPUT -s fd00::/128 ! -o + -m limit --limit 3/min";
    assert_eq!(line(10, exprs, None).as_deref(), Some(expected));
}

#[test]
fn what_iptables_does_not_make_is_not_its() {
    assert_eq!(line(2, vec![Expr::Notrack], None), None);
    let lookup = Expr::Lookup {
        set: "__set0".to_owned(),
        sreg: Reg(4),
        dreg: None,
        inverted: false,
    };
    assert_eq!(line(2, vec![payload(1, 12, 4), lookup], None), None);
    let mut chain = Chain {
        name: "FORWARD".to_owned(),
        handle: 1,
        uses: 0,
        flags: 1,
        comment: None,
        base: Some(BaseChain {
            kind: "filter".to_owned(),
            hook_number: 2,
            hook: "forward",
            priority: 0,
            policy: Verdict::Drop,
            devices: Vec::new(),
            packets: None,
            bytes: None,
        }),
        rules: Vec::new(),
    };
    let mut table = Table {
        family: Family(2),
        name: "filter".to_owned(),
        handle: 1,
        uses: 1,
        flags: 0,
        owner: None,
        comment: None,
        chains: vec![chain.clone()],
        sets: Vec::new(),
        objects: Vec::new(),
        flowtables: Vec::new(),
    };
    let made = |table: &Table| match tables(std::slice::from_ref(table), 2).as_slice() {
        [Made::Table(table)] => {
            let names = table.chains.iter().map(|chain| chain.name.as_str());
            assert_eq!(names.collect::<Vec<_>>(), ["INPUT", "FORWARD", "OUTPUT"]);
            table.chains[1].policy.clone()
        }
        _ => None,
    };
    assert_eq!(made(&table), Some(XVerdict::Drop));
    // One of the same name that hangs elsewhere is not shown.
    chain.base.as_mut().expect("a base chain").priority = 5;
    table.chains = vec![chain];
    assert_eq!(made(&table), Some(XVerdict::Accept));
    table.chains[0].base = None;
    table.chains[0].rules = vec![rule(vec![Expr::Notrack], None)];
    assert_eq!(made(&table), None);
}
