//! Addresses of networks and of network cards, and what stands in for them.
//!
//! A stand-in is an address itself, so that every document keeps its form and every table its
//! columns: of 240.0.0.0/4 or 100::/64, where no machine of a network lives, or a card's address
//! that no maker gives away. Equal ones have the same.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first of 240.0.0.0/4 (RFC 1112: reserved).
const FOUR: u32 = 0xf000_0000;
/// The first of 100::/64 (RFC 6666: what is sent there is thrown away).
const SIX: u128 = 0x0100 << 112;
/// What a network card's address is made of.
const OCTETS: usize = 6;

/// What stands in for which address.
#[derive(Clone, Debug, Default)]
pub(super) struct Addresses {
    four: BTreeMap<Ipv4Addr, Ipv4Addr>,
    six: BTreeMap<Ipv6Addr, Ipv6Addr>,
    macs: BTreeMap<String, String>,
}

impl Addresses {
    /// Those that every machine has tell nothing of any.
    pub(super) fn ip(&mut self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(four) => IpAddr::V4(self.four(four)),
            IpAddr::V6(six) => IpAddr::V6(self.six(six)),
        }
    }

    pub(super) fn four(&mut self, address: Ipv4Addr) -> Ipv4Addr {
        if address.is_unspecified() || address.is_loopback() || address.is_broadcast() {
            return address;
        }
        let number = self.four.len() as u32 + 1;
        let instead = Ipv4Addr::from(FOUR.saturating_add(number));
        *self.four.entry(address).or_insert(instead)
    }

    fn six(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        if address.is_unspecified() || address.is_loopback() {
            return address;
        }
        // It is the same machine as the one without `::ffff:`.
        if let Some(four) = address.to_ipv4_mapped() {
            return self.four(four).to_ipv6_mapped();
        }
        let number = self.six.len() as u128 + 1;
        let instead = Ipv6Addr::from(SIX + number);
        *self.six.entry(address).or_insert(instead)
    }

    /// Of a network card, however long it is; one of zeros or ones is nobody's.
    pub(super) fn mac(&mut self, address: &str) -> String {
        let digits = |digit: char| address.chars().all(|c| c == digit || c == ':');
        if digits('0') || digits('f') {
            return address.to_owned();
        }
        let number = self.macs.len() as u32 + 1;
        let [_, a, b, c] = number.to_be_bytes();
        let instead = || format!("02:00:00:{a:02x}:{b:02x}:{c:02x}");
        let known = self.macs.entry(address.to_owned());
        known.or_insert_with(instead).clone()
    }

    /// `text` with stand-ins for what is an address by its form.
    pub(super) fn text(&mut self, text: &str) -> String {
        let belongs = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '.';
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(start) = rest.find(belongs) {
            let (before, from) = rest.split_at(start);
            out += before;
            let end = from.find(|c| !belongs(c)).unwrap_or(from.len());
            let (word, behind) = from.split_at(end);
            match out.ends_with(inside) || behind.starts_with(inside) {
                true => out += word,
                false => out += &self.word(word),
            }
            rest = behind;
        }
        out + rest
    }

    /// An address, or one with a port or the end of a sentence behind it.
    fn word(&mut self, word: &str) -> String {
        if let Ok(address) = word.parse() {
            return self.ip(address).to_string();
        }
        let whole = word.trim_end_matches(['.', ':']);
        let tail = word.get(whole.len()..).unwrap_or_default();
        if let Ok(address) = whole.parse() {
            return format!("{}{tail}", self.ip(address));
        }
        let octets: Vec<&str> = whole.split(':').collect();
        if octets.len() == OCTETS && octets.iter().all(|octet| octet.len() == 2) {
            return format!("{}{tail}", self.mac(whole));
        }
        let four = whole.rsplit_once(':');
        let four = four.and_then(|(four, port)| Some((four.parse().ok()?, port)));
        match four {
            Some((four, port)) => format!("{}:{port}{tail}", self.four(four)),
            None => word.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_have_the_same_stand_in_and_versions_and_times_stay() {
        let mut addresses = Addresses::default();
        let text = "10.1.2.3:443 and fe80::1, 10.1.2.3. 6.12.117 at 0xffff999dc02b3000 12:34:56 02:ab:cd:00:11:22 ::1 127.0.0.1 [2001:db8::5]:80 [::ffff:10.1.2.3]:9 0.0.0.0/0 10.1.0.0/16 fe80::1%eth0";
        assert_eq!(
            addresses.text(text),
            "240.0.0.1:443 and 100::1, 240.0.0.1. 6.12.117 at 0xffff999dc02b3000 12:34:56 02:00:00:00:00:01 ::1 127.0.0.1 [100::2]:80 [::ffff:240.0.0.1]:9 0.0.0.0/0 240.0.0.2/16 100::1%eth0"
        );
    }

    #[test]
    fn a_card_of_nobody_keeps_its_address() {
        let mut addresses = Addresses::default();
        assert_eq!(addresses.mac("00:00:00:00:00:00"), "00:00:00:00:00:00");
        assert_eq!(addresses.mac("ff:ff:ff:ff:ff:ff"), "ff:ff:ff:ff:ff:ff");
        let long = "80:00:02:08:fe:80:00:00:00:00:00:00:24:8a:07:03:00:aa:bb:cc";
        assert_eq!(addresses.mac(long), "02:00:00:00:00:01");
    }
}
