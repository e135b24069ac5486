//! The text of a command as HTML: its tables as tables, labelled lines as pairs, colours as
//! classes, all else as paragraphs. Whatever comes from the dump is escaped here.

use minijinja::HtmlEscape;

use super::table::{PAGE_CELL, PAGE_HEADER, PAGE_RIGHT, PAGE_ROW};

/// A line that is set in by as much and has no label goes on with the line above.
const SET_IN: usize = 10;
/// A label is not longer.
const LABEL: usize = 24;
/// A table with more columns is set row by row where there is no room.
const NARROW: usize = 3;

/// What the last line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Table,
    Pairs,
}

/// A line that is no row of a table.
enum Line<'t> {
    Blank,
    /// Label and words.
    Pair(&'t str, &'t str),
    /// Words, set in or not.
    Words(&'t str, bool),
}

impl<'t> Line<'t> {
    fn of(line: &'t str) -> Self {
        let text = line.trim();
        let lead = line.len() - line.trim_start().len();
        let split = text.split_once("  ");
        match split.map(|(label, rest)| (label, rest.trim_start())) {
            _ if text.is_empty() => Self::Blank,
            Some((label, rest)) if label.len() <= LABEL => Self::Pair(label, rest),
            _ if lead >= SET_IN => Self::Pair("", text),
            _ => Self::Words(text, lead > 0),
        }
    }
}

/// The whole text.
pub(super) fn page_of(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut open = Open::Nothing;
    let mut labels: Vec<(String, bool)> = Vec::new();
    for line in text.lines() {
        if let Some(header) = line.strip_prefix(PAGE_HEADER) {
            close(&mut out, &mut open);
            labels = header.split(PAGE_CELL).map(label).collect();
            begin(&mut out, &labels);
            open = Open::Table;
        } else if let Some(cells) = line.strip_prefix(PAGE_ROW) {
            row(&mut out, &labels, cells);
        } else {
            words(&mut out, &mut open, &Line::of(line));
        }
    }
    close(&mut out, &mut open);
    out
}

/// The name of a column, and whether it holds numbers.
fn label(name: &str) -> (String, bool) {
    let number = name.strip_prefix(PAGE_RIGHT);
    let escaped = HtmlEscape(number.unwrap_or(name)).to_string();
    (escaped, number.is_some())
}

fn class(number: bool) -> &'static str {
    if number { " class=\"number\"" } else { "" }
}

fn begin(out: &mut String, labels: &[(String, bool)]) {
    let wide = if labels.len() > NARROW { " wide" } else { "" };
    *out += &format!("<table class=\"data{wide}\">\n");
    if labels.iter().any(|(name, _)| !name.is_empty()) {
        *out += "<thead><tr>";
        for (name, number) in labels {
            *out += &format!("<th{}>{name}</th>", class(*number));
        }
        *out += "</tr></thead>\n";
    }
}

fn row(out: &mut String, labels: &[(String, bool)], cells: &str) {
    *out += "<tr>";
    for ((name, number), cell) in labels.iter().zip(cells.split(PAGE_CELL)) {
        let cell = coloured(cell);
        *out += &format!("<td{} data-label=\"{name}\">{cell}</td>", class(*number));
    }
    *out += "</tr>\n";
}

fn words(out: &mut String, open: &mut Open, line: &Line<'_>) {
    match line {
        Line::Blank => close(out, open),
        Line::Pair(label, text) => {
            if *open != Open::Pairs {
                close(out, open);
                *out += "<table class=\"pairs\">\n";
                *open = Open::Pairs;
            }
            let (label, text) = (coloured(label), coloured(text));
            *out += &format!("<tr><td>{label}</td><td>{text}</td></tr>\n");
        }
        Line::Words(text, set_in) => {
            close(out, open);
            let class = if *set_in { " class=\"in\"" } else { "" };
            *out += &format!("<p{class}>{}</p>\n", coloured(text));
        }
    }
}

fn close(out: &mut String, open: &mut Open) {
    if *open != Open::Nothing {
        *out += "</table>\n";
    }
    *open = Open::Nothing;
}

/// The text of a terminal as HTML: its colours as classes, all else escaped.
pub(super) fn coloured(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    let mut open = 0;
    let mut pieces = text.split('\x1b');
    out += &HtmlEscape(pieces.next().unwrap_or("")).to_string();
    for piece in pieces {
        let code = piece
            .strip_prefix('[')
            .and_then(|rest| rest.split_once('m'));
        let (code, rest) = code.unwrap_or(("", piece));
        let class = match code {
            "1" => "b",
            "2" => "d",
            "31" => "red",
            "33" => "yellow",
            "36" => "cyan",
            _ => "",
        };
        if class.is_empty() {
            out += &"</span>".repeat(std::mem::take(&mut open));
        } else {
            out += &format!("<span class=\"{class}\">");
            open += 1;
        }
        out += &HtmlEscape(rest).to_string();
    }
    out += &"</span>".repeat(open);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_labelled_lines_are_tables() {
        let text = "two words\n\n\x1dNAME\x1f>SIZE\n\x1ea<b\x1f12\n\ncount   571 of 1,024\n          more\n";
        assert_eq!(
            page_of(text),
            "<p>two words</p>\n\
             <table class=\"data\">\n<thead><tr><th>NAME</th><th class=\"number\">SIZE</th></tr></thead>\n\
             <tr><td data-label=\"NAME\">a&lt;b</td><td class=\"number\" data-label=\"SIZE\">12</td></tr>\n</table>\n\
             <table class=\"pairs\">\n<tr><td>count</td><td>571 of 1,024</td></tr>\n\
             <tr><td></td><td>more</td></tr>\n</table>\n"
        );
    }

    #[test]
    fn colours_become_classes_and_all_else_is_escaped() {
        assert_eq!(
            coloured("a<b> \x1b[1m\x1b[31mLEAK & co\x1b[0m \x1b[2m'x'"),
            "a&lt;b&gt; <span class=\"b\"><span class=\"red\">LEAK &amp; co</span></span> <span class=\"d\">&#x27;x&#x27;</span>"
        );
        // What is no colour of ours closes what was open, and shows nothing but its text.
        assert_eq!(
            coloured("\x1b[1mbold\x1b[5;41mplain"),
            "<span class=\"b\">bold</span>plain"
        );
        assert_eq!(coloured("\x1b<b>"), "&lt;b&gt;");
    }
}
