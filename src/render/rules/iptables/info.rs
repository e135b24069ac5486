//! Members of `struct xt_*_info`, which are uapi, and how iptables writes values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::{c_string, u16_at, u32_at, u64_at};

/// The data of a match or target; what it lacks makes it unknown.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Info<'b>(pub(in super::super) &'b [u8]);

impl Info<'_> {
    pub(in super::super) fn u8(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub(in super::super) fn u16(&self, at: usize) -> Option<u16> {
        u16_at(self.0, at)
    }

    pub(in super::super) fn be16(&self, at: usize) -> Option<u16> {
        u16_at(self.0, at).map(u16::swap_bytes)
    }

    pub(in super::super) fn u32(&self, at: usize) -> Option<u32> {
        u32_at(self.0, at)
    }

    pub(in super::super) fn u64(&self, at: usize) -> Option<u64> {
        u64_at(self.0, at)
    }

    pub(in super::super) fn text(&self, at: usize, len: usize) -> Option<String> {
        Some(c_string(self.0.get(at..at + len)?))
    }

    pub(in super::super) fn ipv4(&self, at: usize) -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = self.0.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes))
    }

    /// Of a union of both kinds.
    pub(in super::super) fn address(&self, family: u8, at: usize) -> Option<IpAddr> {
        if family != 10 {
            return self.ipv4(at).map(IpAddr::V4);
        }
        let bytes: [u8; 16] = self.0.get(at..at + 16)?.try_into().ok()?;
        Some(IpAddr::V6(Ipv6Addr::from(bytes)))
    }
}

/// `! ` where something is turned round.
pub(in super::super) fn not(inverted: bool) -> &'static str {
    if inverted { " !" } else { "" }
}

/// In quotes unless it is a plain word (xtables_save_string).
pub(in super::super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// How many bits of an address a mask keeps, if they are its first ones.
pub(in super::super) fn prefix(mask: &[u8]) -> Option<u32> {
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let leading: u32 = {
        let whole = mask.iter().take_while(|byte| **byte == 0xff).count();
        let next = mask.get(whole).map_or(0, |byte| byte.leading_ones());
        whole as u32 * 8 + next
    };
    (leading == ones).then_some(ones)
}

/// A range of ports; all of them are none.
pub(in super::super) fn ports(name: &str, min: u16, max: u16, inverted: bool) -> String {
    match (min, max) {
        (0, 0xffff) if !inverted => String::new(),
        (min, max) if min == max => format!("{} --{name} {min}", not(inverted)),
        (min, max) => format!("{} --{name} {min}:{max}", not(inverted)),
    }
}

/// A rate by the time between two packets, in `scale` parts of a second: the smallest unit that fits
/// (libxt_limit.c, print_rate). Also how many milliseconds its unit has.
pub(in super::super) fn rate(period: u64, scale: u64) -> (String, u64) {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "min"), (1, "sec")];
    let period = period.max(1);
    let mut chosen = (86_400 * scale, "day", 86_400);
    for (seconds, name) in units.into_iter().skip(1) {
        let mult = seconds * scale;
        if period > mult || mult / period < mult % period {
            break;
        }
        chosen = (mult, name, seconds);
    }
    let (mult, name, seconds) = chosen;
    (format!("{}/{name}", mult / period), seconds * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As iptables prints what was given as these.
    #[test]
    fn rates_and_words() {
        assert_eq!(rate(2_000, 10_000).0, "5/sec");
        assert_eq!(rate(600_000, 10_000), ("1/min".to_owned(), 60_000));
        assert_eq!(rate(6_000_000, 1_000_000).0, "10/min");
        assert_eq!(quoted("nfl"), "nfl");
        assert_eq!(quoted("drop: "), "\"drop: \"");
        assert_eq!(prefix(&[255, 255, 240, 0]), Some(20));
        assert_eq!(prefix(&[255, 0, 255, 0]), None);
        assert_eq!(ports("dport", 0, 0xffff, false), "");
        assert_eq!(ports("dport", 53, 53, true), " ! --dport 53");
    }
}
