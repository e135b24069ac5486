//! One way to lay out tables, for all commands.
//!
//! Numbers and what names a row are whole. Where there is no room, columns that matter less are
//! left out, texts are shortened with an ellipsis, and the last column, if it flows, takes a
//! second line: a row never takes more than two, and no word is broken.

use std::io::{self, Write};

use super::layout::{Layout, columns, shortened, wrapped};

/// Between columns.
const GAP: usize = 2;
/// A column that flows is not narrower beside others.
const FLOW: usize = 24;
/// How far a second line is set in.
const INDENT: usize = 4;
/// What a text is shortened to at most, where nothing else helps.
const LEAST: usize = 8;

/// Begins the header of a table on a page, ...
pub(super) const PAGE_HEADER: char = '\x1d';
/// ... a row of it, ...
pub(super) const PAGE_ROW: char = '\x1e';
/// ... and the cells after the first one.
pub(super) const PAGE_CELL: char = '\x1f';
/// Stands before the name of a column of numbers.
pub(super) const PAGE_RIGHT: char = '>';

/// How a column gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It does not.
    Whole,
    /// It is shortened to so many columns at most.
    Shorten(usize),
    /// It takes a second line.
    Flow,
}

/// One column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: String,
    right: bool,
    fit: Fit,
    /// Left out where there is no room, the highest first; 0: never.
    rank: u8,
}

impl Column {
    /// Text, to the left.
    pub(super) fn text(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            right: false,
            fit: Fit::Whole,
            rank: 0,
        }
    }

    /// A number, to the right.
    pub(super) fn number(name: &str) -> Self {
        Self {
            right: true,
            ..Self::text(name)
        }
    }

    /// Words that may take a second line: the last column.
    pub(super) fn flow(name: &str) -> Self {
        Self {
            fit: Fit::Flow,
            ..Self::text(name)
        }
    }

    /// May be shortened, to `least` columns.
    pub(super) fn shorten(self, least: usize) -> Self {
        Self {
            fit: Fit::Shorten(least),
            ..self
        }
    }

    /// May be left out; the highest rank goes first.
    pub(super) fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }
}

/// A table without borders.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    layout: Layout,
}

/// Names and values, a pair a row; the first pair stands above as their title.
pub(super) fn pairs(name: &str, value: &str, layout: Layout) -> Table {
    Table::new([Column::text(name), Column::flow(value)], layout)
}

/// Where a column goes: its width, or nowhere.
struct Plan {
    widths: Vec<Option<usize>>,
    /// The last column stands below the others.
    below: bool,
}

impl Table {
    pub(super) fn new(columns: impl IntoIterator<Item = Column>, layout: Layout) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
            layout,
        }
    }

    pub(super) fn add_row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(T::into).collect());
    }

    /// Writes the table, without the blanks that would end its lines.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.layout == Layout::Page {
            return self.mark(out);
        }
        let plan = self.plan();
        let names: Vec<String> = self.columns.iter().map(|c| c.name.clone()).collect();
        if names.iter().any(|name| !name.is_empty()) {
            self.line(out, &plan, &names)?;
        }
        self.rows
            .iter()
            .try_for_each(|row| self.line(out, &plan, row))
    }

    /// For a page, which sets it itself.
    fn mark(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut line = PAGE_HEADER.to_string();
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                line.push(PAGE_CELL);
            }
            if column.right {
                line.push(PAGE_RIGHT);
            }
            line.push_str(&column.name);
        }
        writeln!(out, "{line}")?;
        let cell = PAGE_CELL.to_string();
        self.rows
            .iter()
            .try_for_each(|row| writeln!(out, "{PAGE_ROW}{}", row.join(&cell)))
    }

    /// The widest cell of each column.
    fn natural(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|c| columns(&c.name)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(columns(cell));
            }
        }
        widths
    }

    fn plan(&self) -> Plan {
        let natural = self.natural();
        let mut plan = Plan {
            widths: natural.iter().copied().map(Some).collect(),
            below: false,
        };
        let Some(room) = self.layout.columns() else {
            return plan;
        };
        let least = self.columns.iter().zip(&natural).map(|(column, natural)| {
            let header = columns(&column.name);
            match column.fit {
                Fit::Whole => *natural,
                Fit::Shorten(least) => (*natural).min(least.max(header)),
                Fit::Flow => (*natural).min(FLOW.max(header)),
            }
        });
        plan.widths = least.map(Some).collect();
        while plan.taken() > room && self.give_way(&mut plan) {}
        self.cut(&mut plan, room);
        self.give_back(&mut plan, &natural, room);
        plan
    }

    /// Leaves one column out, or puts the last below the others; `false` if there is nothing left
    /// to do.
    fn give_way(&self, plan: &mut Plan) -> bool {
        let there = |(index, _): &(usize, &Column)| plan.shows(*index);
        let columns = self.columns.iter().enumerate().filter(there);
        let ranked = columns.filter(|(_, column)| column.rank > 0);
        let last = ranked.max_by_key(|(_, column)| column.rank);
        if let Some((index, _)) = last {
            plan.leave_out(index);
            return true;
        }
        let flows = self.columns.last().is_some_and(|c| c.fit == Fit::Flow);
        let can = flows && !plan.below && self.columns.len() > 1;
        plan.below |= can;
        can
    }

    /// The last resort: the widest texts are shortened.
    fn cut(&self, plan: &mut Plan, room: usize) {
        while let Some(over) = plan.taken().checked_sub(room).filter(|over| *over > 0) {
            let of = |(index, column): (usize, &Column)| {
                let width = plan.widths.get(index).copied().flatten()?;
                let inline = !(plan.below && index + 1 == self.columns.len());
                (!column.right && inline && width > LEAST).then_some((width, index))
            };
            let Some((width, index)) = self.columns.iter().enumerate().filter_map(of).max() else {
                return;
            };
            if let Some(slot) = plan.widths.get_mut(index) {
                *slot = Some(width.saturating_sub(over).max(LEAST));
            }
        }
    }

    /// What room is left goes to those that gave way, in their order.
    fn give_back(&self, plan: &mut Plan, natural: &[usize], room: usize) {
        let mut left = room.saturating_sub(plan.taken());
        for (slot, natural) in plan.widths.iter_mut().zip(natural) {
            if let Some(width) = slot {
                let more = natural.saturating_sub(*width).min(left);
                *width += more;
                left -= more;
            }
        }
    }

    fn line(&self, out: &mut dyn Write, plan: &Plan, row: &[String]) -> io::Result<()> {
        let mut line = String::new();
        let mut second = String::new();
        let last = self.columns.len().saturating_sub(1);
        for (index, ((column, cell), width)) in
            self.columns.iter().zip(row).zip(&plan.widths).enumerate()
        {
            let Some(width) = *width else { continue };
            let flows = column.fit == Fit::Flow;
            if index == last && flows && (plan.below || self.has_more_room_below(cell, width)) {
                second = format!("{:INDENT$}{}", "", self.below(cell));
                continue;
            }
            let at = columns(&line);
            let cell = match (column.fit, columns(cell) > width) {
                (Fit::Flow, true) => {
                    let (first, rest) = two_lines(cell, width);
                    second = format!("{:at$}{rest}", "");
                    first
                }
                _ => shortened(cell, width),
            };
            let pad = width.saturating_sub(columns(&cell));
            match column.right {
                true => line.push_str(&format!("{:pad$}{cell}", "")),
                false => line.push_str(&format!("{cell}{:pad$}", "")),
            }
            line.push_str(&" ".repeat(GAP));
        }
        writeln!(out, "{}", line.trim_end())?;
        match second.trim_end() {
            "" => Ok(()),
            second => writeln!(out, "{second}"),
        }
    }

    /// Whether a line of its own shows more of a text than two beside the other columns.
    fn has_more_room_below(&self, cell: &str, width: usize) -> bool {
        let lines = wrapped(cell, width, width).len();
        let room = self.layout.columns().unwrap_or(0).saturating_sub(INDENT);
        self.columns.len() > 1 && lines > 2 && room > 2 * width
    }

    fn below(&self, cell: &str) -> String {
        let room = self.layout.columns().unwrap_or(usize::MAX);
        shortened(cell, room.saturating_sub(INDENT))
    }
}

/// A text on two lines, of which the second may be shortened.
fn two_lines(text: &str, width: usize) -> (String, String) {
    let lines = wrapped(text, width, width);
    let first = lines.first().copied().unwrap_or("");
    let rest = lines.get(1..).unwrap_or(&[]).join(" ");
    (shortened(first, width), shortened(&rest, width))
}

impl Plan {
    fn shows(&self, index: usize) -> bool {
        self.widths.get(index).is_some_and(Option::is_some)
    }

    fn leave_out(&mut self, index: usize) {
        if let Some(slot) = self.widths.get_mut(index) {
            *slot = None;
        }
    }

    /// Columns of the line that all but the one below take.
    fn taken(&self) -> usize {
        let inline = self.widths.len() - usize::from(self.below);
        let shown = self.widths.iter().take(inline).flatten();
        let (count, sum) = shown.fold((0, 0), |(count, sum), width| (count + 1, sum + width));
        sum + GAP * usize::from(count > 0) * (count.max(1) - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(columns: usize, of: impl IntoIterator<Item = Column>, rows: &[&[&str]]) -> String {
        let mut table = Table::new(of, Layout::Terminal(columns));
        for row in rows {
            table.add_row(row.iter().copied());
        }
        let mut out = Vec::new();
        table.write(&mut out).expect("a Vec takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn columns_of_less_weight_are_left_out_first() {
        let of = || {
            [
                Column::text("NAME"),
                Column::number("SIZE"),
                Column::number("MORE").rank(1),
                Column::text("LEAST").rank(2),
            ]
        };
        let row: &[&[&str]] = &[&["a-name", "1,234", "99", "words"]];
        let all = "NAME     SIZE  MORE  LEAST\na-name  1,234    99  words\n";
        assert_eq!(written(26, of(), row), all);
        assert_eq!(
            written(25, of(), row),
            "NAME     SIZE  MORE\na-name  1,234    99\n"
        );
        assert_eq!(written(18, of(), row), "NAME     SIZE\na-name  1,234\n");
    }

    #[test]
    fn words_take_a_second_line_and_no_third() {
        let of = || [Column::text("NAME"), Column::flow("WHY")];
        let why = "one two three four five six seven eight nine ten eleven twelve";
        let text = written(32, of(), &[&["a", why]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[1], "a     one two three four five");
        assert!(lines[2].starts_with("      six seven") && lines[2].ends_with('…'));
        // Beside a long name there is less room than below it.
        let name = "a-name-of-nearly-fifty-columns-leaves-no-room";
        let text = written(60, of(), &[&[name, why]]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[2..],
            [
                name,
                "    one two three four five six seven eight nine ten eleven…"
            ]
        );
    }

    #[test]
    fn texts_are_shortened_and_numbers_never() {
        let of = [Column::text("NAME").shorten(6), Column::number("SIZE")];
        let text = written(14, of, &[&["a-long-name", "12,345"]]);
        assert_eq!(text, "NAME      SIZE\na-lon…  12,345\n");
    }

    #[test]
    fn where_there_is_no_bound_nothing_gives_way() {
        let mut table = Table::new([Column::text("A"), Column::flow("B")], Layout::Unbounded);
        table.add_row(["x".repeat(300), "y ".repeat(300)]);
        let mut out = Vec::new();
        table.write(&mut out).expect("a Vec takes it");
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 2);
    }
}
