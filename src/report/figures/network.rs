//! Pictures of the network: connections, ports, sockets.

use super::{Bars, Columns, Drawing, Figure, ROWS, Row, Unit, figure};
use crate::analysis::conntrack::{Summary, Top};
use crate::analysis::nat::PortUse;
use crate::analysis::sockets::SocketsSummary;

/// States, time-outs and ages of connections.
pub fn connections(summary: &Summary) -> Vec<Figure> {
    if summary.entries == 0 {
        return Vec::new();
    }
    let rows = summary.by_kind.iter().take(ROWS).map(|kind| {
        let state = Some(kind.state).filter(|state| *state != "-");
        let words = [Some(kind.l3proto), Some(kind.l4proto), state];
        Row {
            name: words.into_iter().flatten().collect::<Vec<_>>().join(" "),
            detail: None,
            values: vec![kind.count],
        }
    });
    let states = Bars {
        unit: Unit::Count,
        pieces: vec!["connections"],
        whole: None,
        rows: rows.collect(),
        more: summary.by_kind.len().saturating_sub(ROWS),
    };
    let note = "Entries of the connection table by protocol and state.";
    let states = Drawing::Bars(states);
    let mut figures = vec![figure("states", "Connections by state", note, states)];
    let note = "Seconds until each entry would have gone by itself.";
    let left = classes(&summary.time_left);
    figures.push(figure("timeouts", "Time left of connections", note, left));
    if let Some(ages) = &summary.ages {
        let note = "How long ago each entry was made.";
        figures.push(figure("age", "Age of connections", note, classes(ages)));
    }
    figures
}

fn classes(of: &[Top]) -> Drawing {
    let short = |name: &str| {
        let name = name.replace("up to ", "≤ ").replace("more than ", "> ");
        name.replace("> a day", "> 1 day")
    };
    let classes = of.iter().map(|class| (short(&class.name), class.count));
    Drawing::Columns(Columns {
        of: "connections",
        classes: classes.collect(),
        ends: None,
    })
}

/// Ports in use, of an external address towards a remote end.
pub fn ports(groups: &[PortUse]) -> Option<Figure> {
    let rows = groups.iter().take(ROWS).map(|group| Row {
        name: format!("{} {}", group.group.l4proto, group.group.external),
        detail: Some(format!(
            "to {} port {}",
            group.group.remote, group.group.remote_port
        )),
        values: vec![group.used],
    });
    let bars = Bars {
        unit: Unit::Count,
        pieces: vec!["ports in use"],
        whole: groups.first().map(|group| group.range),
        rows: rows.collect(),
        more: groups.len().saturating_sub(ROWS),
    };
    let note = "Against all ports that there are: towards each remote end an external address has as many.";
    let drawing = Drawing::Bars(bars);
    let is_any = !groups.is_empty();
    is_any.then(|| figure("ports", "Ports in use per external address", note, drawing))
}

/// Sockets by kind and state.
pub fn sockets(summary: &SocketsSummary) -> Option<Figure> {
    let mut states: Vec<_> = summary.states.iter().collect();
    states.sort_by_key(|of| std::cmp::Reverse(of.sums.sockets));
    let rows = states.iter().take(ROWS).map(|of| Row {
        name: format!("{} {}", of.kind.name(), of.state),
        detail: None,
        values: vec![of.sums.sockets],
    });
    let bars = Bars {
        unit: Unit::Count,
        pieces: vec!["sockets"],
        whole: None,
        rows: rows.collect(),
        more: states.len().saturating_sub(ROWS),
    };
    let note = "All network namespaces; TIME_WAIT and handshakes too.";
    let drawing = Drawing::Bars(bars);
    (!states.is_empty()).then(|| figure("sockets", "Sockets by state", note, drawing))
}
