//! `report` as Markdown: for a ticket or a wiki. The same sentences and texts as on the page, without
//! its pictures.

use std::io::{self, Write};

use super::head::{head, host};
use super::{brief, finding, printable};
use crate::report::Document;
use crate::report::whole::{Section, Told, WholeReport};

/// Writes it.
///
/// # Errors
/// If writing fails.
pub fn write(out: &mut dyn Write, document: &Document<WholeReport>) -> io::Result<()> {
    let (dump, body) = (&document.dump, &document.body);
    let name = host(dump).filter(|_| !body.redacted);
    let name = name.or(dump.release.as_deref());
    let name = escaped(&printable(name.unwrap_or("unknown kernel")));
    writeln!(out, "# Crash of {name}\n")?;
    let mut above = Vec::new();
    head(&mut above, document)?;
    block(out, &String::from_utf8_lossy(&above))?;
    for part in brief::parts(document) {
        if !part.sentences.is_empty() {
            writeln!(out, "## {}\n", part.title)?;
            for sentence in &part.sentences {
                writeln!(out, "- {}", escaped(sentence))?;
            }
            writeln!(out)?;
        }
    }
    if let Some(findings) = body.findings.as_ref().filter(|all| !all.is_empty()) {
        writeln!(out, "## Findings\n")?;
        let mut text = Vec::new();
        for one in findings {
            finding::headline(&mut text, one, dump.memory_bytes)?;
            finding::proof(&mut text, one)?;
        }
        block(out, &String::from_utf8_lossy(&text))?;
    }
    for section in &body.sections {
        write_section(out, section)?;
    }
    if !document.warnings.is_empty() {
        writeln!(out, "## Warnings\n")?;
        for warning in &document.warnings {
            writeln!(out, "- {}", escaped(&printable(&warning.message)))?;
        }
    }
    Ok(())
}

fn write_section(out: &mut dyn Write, section: &Section) -> io::Result<()> {
    let topic = section.topic;
    writeln!(out, "## {}\n\n`vmleak {}`\n", topic.title, topic.command)?;
    if !section.complete {
        writeln!(out, "**Incomplete**: something was missing.\n")?;
        for loss in &section.losses {
            writeln!(out, "- {}", escaped(&printable(loss)))?;
        }
        writeln!(out)?;
    }
    for note in &section.notes {
        writeln!(out, "{}\n", escaped(&printable(note)))?;
    }
    match &section.told {
        Ok(Told::Text(text)) => block(out, text),
        Ok(Told::Data(data)) => block(out, &data.to_string()),
        Err(why) => writeln!(out, "{}\n", escaped(&printable(why))),
    }
}

/// Text as it is, without colours, in a fence that is longer than any in it.
fn block(out: &mut dyn Write, text: &str) -> io::Result<()> {
    let text = plain(text);
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    writeln!(out, "{fence}text\n{}\n{fence}\n", text.trim_matches('\n'))
}

/// Without colours of the terminal.
fn plain(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or("").to_owned();
    pieces.fold(first, |out, piece| {
        out + piece.split_once('m').map_or(piece, |(_, text)| text)
    })
}

/// What Markdown would act on, made text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>#|".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_text_ends_no_fence_and_no_sentence_is_markup() {
        let mut out = Vec::new();
        block(&mut out, "\x1b[1ma\x1b[0m\n```\nb\n").expect("a Vec takes it");
        assert_eq!(
            String::from_utf8_lossy(&out),
            "````text\na\n```\nb\n````\n\n"
        );
        assert_eq!(escaped("<b> *x* [y]"), "\\<b\\> \\*x\\* \\[y\\]");
    }
}
