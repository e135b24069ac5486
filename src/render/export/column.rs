//! What a table is: its columns, each with a name, a type, what it means, and how a row has it.
//! Parquet, JSON Schema, Arrow's schema and the head of CSV are all made of this.

use std::borrow::Cow;

/// What kind of values a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// 0 to 2^64 - 1.
    Unsigned,
    /// Of 64 bits.
    Signed,
    /// A double.
    Real,
    /// True or false.
    Flag,
    /// RFC 3339, UTC; microseconds since 1970 in Parquet.
    Time,
}

/// How a row has its value. `None` is what is not known, or what such a row can't have.
#[derive(Debug)]
pub(super) enum Get<R> {
    Text(fn(&R) -> Option<Cow<'_, str>>),
    Unsigned(fn(&R) -> Option<u64>),
    Signed(fn(&R) -> Option<i64>),
    Real(fn(&R) -> Option<f64>),
    Flag(fn(&R) -> Option<bool>),
    Time(fn(&R) -> Option<&str>),
}

/// One column.
#[derive(Debug)]
pub struct Column<R> {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) get: Get<R>,
}

impl<R> Column<R> {
    const fn new(name: &'static str, about: &'static str, get: Get<R>) -> Self {
        Self { name, about, get }
    }

    fn kind(&self) -> Kind {
        match self.get {
            Get::Text(_) => Kind::Text,
            Get::Unsigned(_) => Kind::Unsigned,
            Get::Signed(_) => Kind::Signed,
            Get::Real(_) => Kind::Real,
            Get::Flag(_) => Kind::Flag,
            Get::Time(_) => Kind::Time,
        }
    }
}

pub(super) const fn text<R>(
    name: &'static str,
    about: &'static str,
    get: fn(&R) -> Option<Cow<'_, str>>,
) -> Column<R> {
    Column::new(name, about, Get::Text(get))
}

pub(super) const fn unsigned<R>(
    name: &'static str,
    about: &'static str,
    get: fn(&R) -> Option<u64>,
) -> Column<R> {
    Column::new(name, about, Get::Unsigned(get))
}

pub(super) const fn signed<R>(
    name: &'static str,
    about: &'static str,
    get: fn(&R) -> Option<i64>,
) -> Column<R> {
    Column::new(name, about, Get::Signed(get))
}

pub(super) const fn real<R>(
    name: &'static str,
    about: &'static str,
    get: fn(&R) -> Option<f64>,
) -> Column<R> {
    Column::new(name, about, Get::Real(get))
}

pub(super) const fn flag<R>(
    name: &'static str,
    about: &'static str,
    get: fn(&R) -> Option<bool>,
) -> Column<R> {
    Column::new(name, about, Get::Flag(get))
}

pub(super) const fn time<R>(
    name: &'static str,
    about: &'static str,
    get: fn(&R) -> Option<&str>,
) -> Column<R> {
    Column::new(name, about, Get::Time(get))
}

/// A text that is there.
pub(super) fn some(text: &str) -> Option<Cow<'_, str>> {
    Some(text.into())
}

/// A text that is made of something.
pub(super) fn made<T: ToString>(value: T) -> Option<Cow<'static, str>> {
    Some(value.to_string().into())
}

/// A text that may be there.
pub(super) fn maybe(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::from)
}

/// One table. Its rows are of type `R`; each says first which dump it is of.
#[derive(Debug)]
pub struct Table<R: 'static> {
    /// Of the file, too.
    pub name: &'static str,
    pub(super) about: &'static str,
    pub(super) columns: &'static [Column<R>],
}

/// What a column is to who only reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSchema {
    /// Its name, which stays.
    pub name: &'static str,
    /// In words.
    pub about: &'static str,
    /// Of its values.
    pub kind: Kind,
}

/// What a table is to who only reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub about: &'static str,
    /// In their order.
    pub columns: Vec<ColumnSchema>,
}

const fn lead(name: &'static str, about: &'static str, kind: Kind) -> ColumnSchema {
    ColumnSchema { name, about, kind }
}

/// What each row of each table starts with.
pub(super) const LEAD: [ColumnSchema; 4] = [
    lead(
        "dump_id",
        "The same for each copy and form of one dump",
        Kind::Text,
    ),
    lead("host", "Name of the machine", Kind::Text),
    lead("release", "Of the kernel, as uname -r", Kind::Text),
    lead("crash_time", "When it died", Kind::Time),
];

impl<R> Table<R> {
    /// Without what only rows need.
    pub fn schema(&self) -> TableSchema {
        let own = self.columns.iter().map(|column| ColumnSchema {
            name: column.name,
            about: column.about,
            kind: column.kind(),
        });
        TableSchema {
            name: self.name,
            about: self.about,
            columns: LEAD.into_iter().chain(own).collect(),
        }
    }
}
