//! The command lines of `conntrack` and `nat`.

use std::net::IpAddr;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use ipnet::IpNet;
use vmleak::analysis::filter::Filter;
use vmleak::subsys::net::conntrack;

use super::args::Common;
use super::output::Reader;

/// Of `conntrack`.
#[derive(Debug, Args)]
pub(crate) struct ConntrackArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = ConntrackFormat::Table, help_heading = "Output")]
    pub(crate) format: ConntrackFormat,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// How full, with what, from whom, instead of the entries
    #[arg(long)]
    pub(crate) summary: bool,
    /// Expectations, as /proc/net/nf_conntrack_expect
    #[arg(long, conflicts_with = "summary")]
    pub(crate) expect: bool,
    /// Statistics per CPU, as `conntrack -S`; with --format proc as /proc/net/stat/nf_conntrack
    #[arg(long, conflicts_with_all = ["summary", "expect"])]
    pub(crate) stats: bool,
}

/// Of `nat`.
#[derive(Debug, Args)]
pub(crate) struct NatArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = NatFormat::Table, help_heading = "Output")]
    pub(crate) format: NatFormat,
    #[command(flatten)]
    pub(crate) wanted: Wanted,
}

/// Formats of `conntrack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConntrackFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One connection a line
    Jsonl,
    /// One connection a row
    Csv,
    /// /proc/net/nf_conntrack to the letter
    Proc,
    /// `conntrack -L -o extended,id,timestamp,labels` to the letter
    Conntrack,
}

impl ConntrackFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            ConntrackFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Formats of `nat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NatFormat {
    /// For people
    Table,
    /// One document
    Json,
    /// One translation a line
    Jsonl,
    /// One translation a row
    Csv,
}

impl NatFormat {
    pub(crate) fn reader(self) -> Reader {
        match self {
            NatFormat::Table => Reader::Person,
            _ => Reader::Program,
        }
    }
}

/// Which connections.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which connections")]
pub(crate) struct Wanted {
    /// Network namespace: initial, all, or its number (initial by default, all in JSON and CSV)
    #[arg(long, value_name = "NETNS")]
    pub(crate) netns: Option<Netns>,
    /// Protocol, by name or number
    #[arg(long, value_name = "PROTO", value_parser = protocol)]
    proto: Option<u8>,
    /// Original source, an address or a network (10.0.0.0/8)
    #[arg(long, value_name = "CIDR", value_parser = network)]
    src: Option<IpNet>,
    /// Original destination
    #[arg(long, value_name = "CIDR", value_parser = network)]
    dst: Option<IpNet>,
    /// Reply source
    #[arg(long, value_name = "CIDR", value_parser = network)]
    reply_src: Option<IpNet>,
    /// Reply destination
    #[arg(long, value_name = "CIDR", value_parser = network)]
    reply_dst: Option<IpNet>,
    /// Original source port
    #[arg(long, value_name = "PORT")]
    orig_port_src: Option<u16>,
    /// Original destination port
    #[arg(long, value_name = "PORT")]
    orig_port_dst: Option<u16>,
    /// Reply source port
    #[arg(long, value_name = "PORT")]
    reply_port_src: Option<u16>,
    /// Reply destination port
    #[arg(long, value_name = "PORT")]
    reply_port_dst: Option<u16>,
    /// State of the protocol (ESTABLISHED, TIME_WAIT, …)
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<String>,
    /// Status that must be set (ASSURED, SRC_NAT, …, also UNREPLIED); may be repeated
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<String>,
    /// Zone
    #[arg(long, value_name = "ID")]
    zone: Option<u16>,
    /// Mark, with an optional mask (0x10/0xff)
    #[arg(long, value_name = "MARK[/MASK]", value_parser = mark)]
    mark: Option<(u32, u32)>,
    /// Only translated connections
    #[arg(long)]
    nat_only: bool,
}

impl Wanted {
    /// The conditions on a connection, without its namespace.
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            proto: self.proto,
            src: self.src,
            dst: self.dst,
            reply_src: self.reply_src,
            reply_dst: self.reply_dst,
            orig_port_src: self.orig_port_src,
            orig_port_dst: self.orig_port_dst,
            reply_port_src: self.reply_port_src,
            reply_port_dst: self.reply_port_dst,
            state: self.state.clone(),
            status: self.status.clone(),
            zone: self.zone,
            mark: self.mark,
            nat_only: self.nat_only,
        }
    }
}

/// Which namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Netns {
    Initial,
    All,
    Inum(u32),
}

impl FromStr for Netns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "initial" => Ok(Netns::Initial),
            "all" => Ok(Netns::All),
            number => number
                .parse()
                .map(Netns::Inum)
                .map_err(|_| "give initial, all or a namespace's number".to_owned()),
        }
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| address())
        .map_err(|_| "neither an address nor a network such as 10.0.0.0/8".to_owned())
}

fn protocol(text: &str) -> Result<u8, String> {
    let by_name = (0..=u8::MAX).find(|number| {
        let name = vmleak::subsys::net::conntrack::tuple::l4name(*number);
        name != "unknown" && name.eq_ignore_ascii_case(text)
    });
    by_name
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "neither a protocol's name nor a number".to_owned())
}

/// A word that no connection can have would find nothing, and nobody would know why.
fn one_of(text: &str, all: &[&str]) -> Result<String, String> {
    match all.iter().find(|name| name.eq_ignore_ascii_case(text)) {
        Some(name) => Ok((*name).to_owned()),
        None => Err(format!("it is one of {}", all.join(", "))),
    }
}

fn state(text: &str) -> Result<String, String> {
    one_of(text, &conntrack::state::all())
}

fn status(text: &str) -> Result<String, String> {
    let all = [&conntrack::state::status::NAMES[..], &["UNREPLIED"]].concat();
    one_of(text, &all)
}

fn mark(text: &str) -> Result<(u32, u32), String> {
    let number = |text: &str| {
        let parsed = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        parsed.map_err(|_| format!("{text:?} is no mark"))
    };
    match text.split_once('/') {
        Some((mark, mask)) => Ok((number(mark)?, number(mask)?)),
        None => Ok((number(text)?, u32::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_parse() {
        assert_eq!(protocol("tcp"), Ok(6));
        assert_eq!(protocol("47"), Ok(47));
        assert!(protocol("nonesuch").is_err());
        assert_eq!(state("time_wait").as_deref(), Ok("TIME_WAIT"));
        assert!(state("FOO").is_err_and(|error| error.contains("ESTABLISHED")));
        assert_eq!(status("unreplied").as_deref(), Ok("UNREPLIED"));
        assert!(status("FOO").is_err_and(|error| error.contains("SRC_NAT")));
        assert_eq!(mark("0x10/0xff"), Ok((16, 255)));
        assert_eq!(mark("7"), Ok((7, u32::MAX)));
        assert!(network("10.0.0.0/8").is_ok_and(|net| net.prefix_len() == 8));
        assert!(network("fd00::1").is_ok_and(|net| net.prefix_len() == 128));
        assert_eq!("4026531840".parse(), Ok(Netns::Inum(4_026_531_840)));
    }
}
