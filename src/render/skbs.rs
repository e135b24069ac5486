//! `sockets --skbs`: where the socket buffers are.

use std::io::{self, Write};

use anstyle::Style;

use super::head::head;
use super::layout::Layout;
use super::table::{Column, Table};
use super::{more, size, thousands};
use crate::report::Document;
use crate::subsys::net::skbs::SkbsFacts;

/// Of those that are nowhere, so many.
const SHOWN: usize = 20;

/// For people.
///
/// # Errors
/// If writing fails.
pub fn write_text(
    out: &mut dyn Write,
    document: &Document<SkbsFacts>,
    layout: Layout,
) -> io::Result<()> {
    head(out, document)?;
    let facts = &document.body;
    writeln!(
        out,
        "\n{} socket buffers in use (a pair made for cloning is one), {} on no queue that is known",
        match facts.objects {
            Some(objects) if document.complete => thousands(objects),
            Some(objects) => format!("at least {}", thousands(objects)),
            None => "an unknown number of".to_owned(),
        },
        thousands(facts.nowhere_objects)
    )?;
    let bold = Style::new().bold();
    writeln!(out, "\n{bold}Where they are{bold:#}")?;
    let header = [
        Column::text("PLACE"),
        Column::number("BUFFERS"),
        Column::number("DATA"),
        Column::number("CHARGED"),
    ];
    let mut rows = Table::new(header, layout);
    for place in &facts.places {
        rows.add_row([
            place.place.clone(),
            thousands(place.skbs),
            size(place.bytes),
            size(place.truesize_bytes),
        ]);
    }
    rows.write(out)?;
    if facts.nowhere.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{bold}On none of the kernel's queues: with a driver or a module, or lost{bold:#}"
    )?;
    let header = [
        Column::text("ADDRESS"),
        Column::text("PROTOCOL"),
        Column::number("IFINDEX").rank(1),
        Column::number("DATA"),
        Column::number("CHARGED"),
        Column::number("USERS").rank(2),
        Column::text("DESTRUCTOR").rank(3),
    ];
    let mut rows = Table::new(header, layout);
    for skb in facts.nowhere.iter().take(SHOWN) {
        rows.add_row([
            skb.address.to_string(),
            skb.protocol.clone(),
            skb.ifindex.to_string(),
            size(skb.bytes),
            size(skb.truesize_bytes),
            skb.users.to_string(),
            skb.destructor.clone().unwrap_or_default(),
        ]);
    }
    rows.write(out)?;
    more(out, facts.nowhere.len(), SHOWN)
}
