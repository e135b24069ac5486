//! Which expression an `nft_expr_ops` is of, by the name of its type and its own symbol: several
//! have one type, and private structures of their own.

use super::action_layouts::*;
use super::layouts::*;
use crate::kernel::Kernel;
use crate::kernel::layout::LayoutError;

/// What the bytes of an expression are, with where its members lie.
#[derive(Debug)]
pub(super) enum Kind {
    Payload(PayloadLayout),
    PayloadSet(PayloadSetLayout),
    Cmp(CmpLayout),
    CmpFast(CmpFastLayout),
    Cmp16(Cmp16Layout),
    Range(RangeLayout),
    Bitwise(BitwiseLayout),
    BitwiseFast(BitwiseFastLayout),
    Immediate(ImmediateLayout),
    MetaLoad(MetaLayout),
    MetaSet(MetaLayout),
    CtLoad(CtLayout),
    CtSet(CtLayout),
    Notrack,
    Lookup(LookupLayout),
    Dynset(DynsetLayout),
    Objref,
    ObjrefMap(ObjrefMapLayout),
    Byteorder(ByteorderLayout),
    ExthdrLoad(&'static str, ExthdrLayout),
    ExthdrSet(&'static str, ExthdrLayout),
    ExthdrReset(&'static str, ExthdrLayout),
    Rt(RtLayout),
    Counter(CounterLayout),
    Last(LastLayout, LastStampLayout),
    Inner(InnerLayout),
    /// 5.17 and later.
    LimitPriv {
        bytes: bool,
        layout: LimitPrivLayout,
    },
    Limit {
        bytes: bool,
        layout: LimitLayout,
    },
    Log(LogLayout),
    Nat(NatLayout),
    Masq(MasqLayout),
    Redir(RedirLayout),
    Reject(RejectLayout),
    Queue(QueueLayout),
    Quota(QuotaLayout),
    Connlimit(ConnlimitLayout),
    Fib(FibLayout),
    Socket(SocketLayout),
    Tproxy(TproxyLayout),
    Counting(CountingLayout),
    Random(RandomLayout),
    Jhash(JhashLayout),
    Symhash(SymhashLayout),
    DupIpv4(DupIpv4Layout),
    DupIpv6(DupIpv6Layout),
    DupNetdev(DupNetdevLayout),
    Fwd(FwdLayout),
    FwdNeigh(FwdNeighLayout),
    Offload(OffloadLayout),
    Synproxy(SynproxyLayout),
    Osf(OsfLayout),
    Xfrm(XfrmLayout),
    Tunnel(TunnelLayout),
    Match(MatchLayout),
    Target(TargetLayout),
    Unknown,
}

/// Types of which several expressions are: only the symbol of their ops tells them apart.
const VARIANTS: [&str; 12] = [
    "payload", "cmp", "bitwise", "meta", "ct", "objref", "exthdr", "limit", "numgen", "hash",
    "dup", "fwd",
];

impl Kind {
    /// Whether the symbol of its ops is needed to tell what an expression of a type is.
    pub(super) fn has_variants(name: &str) -> bool {
        VARIANTS.contains(&name)
    }

    /// Of a type of that name, whose ops have that symbol (empty if they have none).
    pub(super) fn of(kernel: &Kernel, name: &str, ops: &str) -> Result<Self, LayoutError> {
        Ok(match name {
            "payload" | "cmp" | "bitwise" | "range" | "byteorder" | "immediate" => {
                return Self::of_data(kernel, name, ops);
            }
            "meta" if ops.contains("_set_ops") => Self::MetaSet(kernel.layout()?),
            "meta" => Self::MetaLoad(kernel.layout()?),
            "ct" if ops.contains("nft_ct_set") => Self::CtSet(kernel.layout()?),
            "ct" => Self::CtLoad(kernel.layout()?),
            "notrack" => Self::Notrack,
            "lookup" => Self::Lookup(kernel.layout()?),
            "dynset" => Self::Dynset(kernel.layout()?),
            "objref" if ops.contains("_map_") => Self::ObjrefMap(kernel.layout()?),
            "objref" => Self::Objref,
            "exthdr" => return Self::of_header(kernel, ops),
            "rt" => Self::Rt(kernel.layout()?),
            "counter" => Self::Counter(kernel.layout()?),
            "last" => Self::Last(kernel.layout()?, kernel.layout()?),
            "inner" => Self::Inner(kernel.layout()?),
            "match" => Self::Match(kernel.layout()?),
            "target" => Self::Target(kernel.layout()?),
            _ => return Self::of_action(kernel, name, ops),
        })
    }

    fn of_data(kernel: &Kernel, name: &str, ops: &str) -> Result<Self, LayoutError> {
        Ok(match name {
            "payload" if ops.contains("_set_") => Self::PayloadSet(kernel.layout()?),
            "payload" => Self::Payload(kernel.layout()?),
            "cmp" if ops.contains("cmp16_fast") => Self::Cmp16(kernel.layout()?),
            "cmp" if ops.contains("cmp_fast") => Self::CmpFast(kernel.layout()?),
            "cmp" => Self::Cmp(kernel.layout()?),
            "bitwise" if ops.contains("fast") => Self::BitwiseFast(kernel.layout()?),
            "bitwise" => Self::Bitwise(kernel.layout()?),
            "range" => Self::Range(kernel.layout()?),
            "byteorder" => Self::Byteorder(kernel.layout()?),
            _ => Self::Immediate(kernel.layout()?),
        })
    }

    /// `nft_exthdr_ipv6_ops`, `nft_exthdr_tcp_set_ops`…
    fn of_header(kernel: &Kernel, ops: &str) -> Result<Self, LayoutError> {
        let layout = kernel.layout()?;
        Ok(match ops {
            _ if ops.contains("tcp_strip") => Self::ExthdrReset("tcpopt", layout),
            _ if ops.contains("tcp_set") => Self::ExthdrSet("tcpopt", layout),
            _ if ops.contains("tcp") => Self::ExthdrLoad("tcpopt", layout),
            _ if ops.contains("ipv4") => Self::ExthdrLoad("ipv4", layout),
            _ if ops.contains("sctp") => Self::ExthdrLoad("sctp", layout),
            _ if ops.contains("dccp") => Self::ExthdrLoad("dccp", layout),
            _ => Self::ExthdrLoad("ipv6", layout),
        })
    }

    fn of_action(kernel: &Kernel, name: &str, ops: &str) -> Result<Self, LayoutError> {
        Ok(match name {
            "limit" => return Self::of_limit(kernel, ops.contains("bytes")),
            "log" => Self::Log(kernel.layout()?),
            "nat" => Self::Nat(kernel.layout()?),
            "masq" => Self::Masq(kernel.layout()?),
            "redir" => Self::Redir(kernel.layout()?),
            "reject" => Self::Reject(kernel.layout()?),
            "queue" => Self::Queue(kernel.layout()?),
            "quota" => Self::Quota(kernel.layout()?),
            "connlimit" => Self::Connlimit(kernel.layout()?),
            "fib" => Self::Fib(kernel.layout()?),
            "socket" => Self::Socket(kernel.layout()?),
            "tproxy" => Self::Tproxy(kernel.layout()?),
            "numgen" if ops.contains("random") => Self::Random(kernel.layout()?),
            "numgen" => Self::Counting(kernel.layout()?),
            "hash" if ops.contains("symhash") => Self::Symhash(kernel.layout()?),
            "hash" => Self::Jhash(kernel.layout()?),
            "dup" if ops.contains("netdev") => Self::DupNetdev(kernel.layout()?),
            "dup" if ops.contains("ipv6") => Self::DupIpv6(kernel.layout()?),
            "dup" => Self::DupIpv4(kernel.layout()?),
            "fwd" if ops.contains("neigh") => Self::FwdNeigh(kernel.layout()?),
            "fwd" => Self::Fwd(kernel.layout()?),
            "flow_offload" => Self::Offload(kernel.layout()?),
            "synproxy" => Self::Synproxy(kernel.layout()?),
            "osf" => Self::Osf(kernel.layout()?),
            "xfrm" => Self::Xfrm(kernel.layout()?),
            "tunnel" => Self::Tunnel(kernel.layout()?),
            _ => Self::Unknown,
        })
    }

    pub(super) fn of_limit(kernel: &Kernel, bytes: bool) -> Result<Self, LayoutError> {
        match kernel.layout() {
            Ok(layout) => Ok(Self::LimitPriv { bytes, layout }),
            Err(_) => kernel.layout().map(|layout| Self::Limit { bytes, layout }),
        }
    }
}
