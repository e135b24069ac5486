//! What counts and limits, as nft writes it.

use super::super::names;
use super::rule::Context;
use super::types::{amount, time};
use crate::subsys::net::rules::nft::expr::Expr;

/// `None` of expressions that are something else.
pub(super) fn text(context: &mut Context<'_>, expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Dynset {
            op,
            set,
            key,
            data,
            timeout_ms,
            exprs,
            inverted: false,
        } => {
            let len = context.set(set)?.key_len as usize;
            let (mut inside, _) = context.key(*key, len)?;
            if *timeout_ms > 0 {
                inside.push_str(&format!(" timeout {}", time(*timeout_ms)));
            }
            for expr in exprs {
                inside.push_str(&format!(" {}", stateful(expr)?));
            }
            if let Some(data) = data {
                let len = context.set(set)?.data_len as usize;
                inside.push_str(&format!(" : {}", context.key(*data, len)?.0));
            }
            format!("{op} @{set} {{ {inside} }}")
        }
        Expr::Objref { kind, name } => format!("{} \"{name}\"", object(*kind)?),
        Expr::ObjrefMap { set, sreg } => {
            let found = context.set(set)?;
            let (key, types) = context.key(*sreg, found.key_len as usize)?;
            let body = match found.flags & 1 {
                0 => format!("@{set}"),
                _ => super::sets::inline(found, &types, context.devices),
            };
            format!("{} {key} map {body}", object(found.object_type)?)
        }
        other => return stateful(other),
    })
}

/// The words before the name of an object of that kind.
pub(super) fn object(kind: u32) -> Option<&'static str> {
    Some(match kind {
        1 => "counter name",
        2 => "quota name",
        3 => "ct helper set",
        4 => "limit name",
        7 => "ct timeout set",
        8 => "meta secmark set",
        9 => "ct expectation set",
        10 => "synproxy name",
        _ => return None,
    })
}

/// What elements of sets have too.
pub(super) fn stateful(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Counter { packets, bytes } => format!("counter packets {packets} bytes {bytes}"),
        Expr::Last {
            milliseconds_ago: None,
        } => "last used never".to_owned(),
        Expr::Last {
            milliseconds_ago: Some(ago),
        } => format!("last used {}", time(*ago)),
        Expr::Limit { .. } => format!("limit {}", limit(expr)?),
        Expr::Quota { .. } => format!("quota {}", quota(expr)?),
        Expr::Connlimit { count, inverted } => {
            format!("ct count {}{count}", if *inverted { "over " } else { "" })
        }
        _ => return None,
    })
}

/// Behind the word.
pub(super) fn limit(expr: &Expr) -> Option<String> {
    let Expr::Limit {
        rate,
        unit_seconds,
        burst,
        bytes,
        inverted,
    } = expr
    else {
        return None;
    };
    let over = if *inverted { "over " } else { "" };
    let unit = names::unit(*unit_seconds);
    if !bytes {
        return Some(format!("rate {over}{rate}/{unit} burst {burst} packets"));
    }
    let (rate, of) = amount(*rate);
    let burst = match amount(u64::from(*burst)) {
        (0, _) => String::new(),
        (burst, of) => format!(" burst {burst} {of}"),
    };
    Some(format!("rate {over}{rate} {of}/{unit}{burst}"))
}

/// Behind the word.
pub(super) fn quota(expr: &Expr) -> Option<String> {
    let Expr::Quota {
        bytes,
        consumed,
        flags,
    } = expr
    else {
        return None;
    };
    let over = if flags & 1 != 0 { "over " } else { "" };
    let (most, of) = amount(*bytes);
    let used = match amount(*consumed) {
        (0, _) => String::new(),
        (used, of) => format!(" used {used} {of}"),
    };
    Some(format!("{over}{most} {of}{used}"))
}
