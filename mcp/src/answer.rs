//! Answers that fit: lists are cut to the rows wanted, what is still too long is cut further, and
//! it is said what was cut and how to ask on.

use rmcp::model::JsonObject;
use serde_json::{Map, Value as Json, json};

use crate::tools::{FIRST, MOST, ROWS, Wrong};

/// What of an answer is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Elements of each list.
    pub(crate) rows: usize,
    /// The first element of the longest list.
    pub(crate) first: usize,
    /// Of the answer, which has the document twice: as JSON, and as text for clients that know
    /// only that.
    pub(crate) bytes: usize,
}

impl Bounds {
    /// Those of a call.
    pub(crate) fn of(call: &JsonObject, bytes: usize) -> Result<Self, Wrong> {
        let number = |name: &str, default: usize| match call.get(name) {
            None | Some(Json::Null) => Ok(default),
            Some(value) => value
                .as_u64()
                .and_then(|number| usize::try_from(number).ok())
                .ok_or_else(|| format!("{name} is a whole number, not {value}")),
        };
        Ok(Self {
            rows: match number(MOST, ROWS)? {
                0 => return Err(format!("{MOST} is 1 at least")),
                rows => rows,
            },
            first: number(FIRST, 0)?,
            bytes,
        })
    }
}

/// Where a list stands in the document, and how it was cut.
type Cut = (String, usize, usize, usize);

/// The document within bounds, with what was cut under `cut`.
pub(crate) fn bounded(document: &Json, bounds: Bounds) -> Json {
    let longest = longest(document);
    let mut rows = bounds.rows;
    loop {
        let mut cuts: Vec<Cut> = Vec::new();
        let limits = Limits {
            rows,
            first: bounds.first,
            paged: longest.as_deref(),
        };
        let mut cut = limits.cut(document, "", &mut cuts);
        if let Json::Object(parts) = &mut cut
            && !cuts.is_empty()
        {
            parts.insert("cut".to_owned(), told(&cuts, longest.as_deref()));
        }
        if size(&cut) <= bounds.bytes || rows == 0 {
            return fitting(cut, bounds.bytes);
        }
        rows /= 2;
    }
}

/// Bytes of an answer with this document.
fn size(document: &Json) -> usize {
    let text = document.to_string();
    let quoted = text
        .bytes()
        .filter(|byte| matches!(byte, b'"' | b'\\'))
        .count();
    2 * text.len() + quoted
}

/// A document that is too long with no row at all is told by the sizes of its parts.
fn fitting(document: Json, bytes: usize) -> Json {
    let length = document.to_string().len();
    if size(&document) <= bytes {
        return document;
    }
    let Json::Object(parts) = document else {
        return json!({"too_long_bytes": length});
    };
    let sizes: Map<String, Json> = parts
        .iter()
        .map(|(name, part)| (name.clone(), part.to_string().len().into()))
        .collect();
    json!({
        "too_long_bytes": length, "parts_bytes": sizes,
        "how_to_ask_on": "ask with options that choose less, or start vmleak-mcp with a larger --max-bytes",
    })
}

/// The key of the longest list at the top of the document: the one that pages.
fn longest(document: &Json) -> Option<String> {
    let parts = document.as_object()?.iter();
    let lists = parts.filter_map(|(name, part)| Some((part.as_array()?.len(), name)));
    lists.max().map(|(_, name)| name.clone())
}

fn told(cuts: &[Cut], longest: Option<&str>) -> Json {
    let list = |(path, first, shown, all): &Cut| {
        let mut one = json!({"list": path, "first_row": first, "shown": shown, "of": all});
        let next = first + shown;
        if longest == Some(path) && next < *all && *shown > 0 {
            one["how_to_ask_on"] = format!("call again with {FIRST} {next}").into();
        } else if longest != Some(path) {
            one["how_to_ask_on"] =
                format!("call again with a larger {MOST}, or with options that choose less").into();
        }
        one
    };
    cuts.iter().map(list).collect()
}

struct Limits<'a> {
    rows: usize,
    first: usize,
    paged: Option<&'a str>,
}

impl Limits<'_> {
    fn cut(&self, value: &Json, path: &str, cuts: &mut Vec<Cut>) -> Json {
        match value {
            Json::Array(all) => self.list(all, path, cuts),
            Json::Object(parts) => {
                let inside = |name: &str| match path {
                    "" => name.to_owned(),
                    path => format!("{path}.{name}"),
                };
                let each = parts
                    .iter()
                    .map(|(name, part)| (name.clone(), self.cut(part, &inside(name), cuts)));
                Json::Object(each.collect())
            }
            other => other.clone(),
        }
    }

    fn list(&self, all: &[Json], path: &str, cuts: &mut Vec<Cut>) -> Json {
        let first = match self.paged == Some(path) {
            true => self.first.min(all.len()),
            false => 0,
        };
        let rows = all.iter().skip(first).take(self.rows);
        let within = format!("{path}[]");
        let mut inner = Vec::new();
        let shown: Vec<Json> = rows.map(|row| self.cut(row, &within, &mut inner)).collect();
        if shown.len() < all.len() {
            cuts.push((path.to_owned(), first, shown.len(), all.len()));
        }
        // Of lists in rows, one word for all.
        inner.sort_by_key(|cut| std::cmp::Reverse(cut.3));
        for one in inner {
            if !cuts.iter().any(|cut| cut.0 == one.0) {
                cuts.push(one);
            }
        }
        Json::Array(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(rows: usize, first: usize, bytes: usize) -> Bounds {
        Bounds { rows, first, bytes }
    }

    #[test]
    fn what_fits_is_whole() {
        let document = json!({"dump": {"id": "x"}, "rows": [1, 2, 3]});
        assert_eq!(bounded(&document, bounds(3, 0, 1000)), document);
    }

    #[test]
    fn what_was_cut_is_said_and_can_be_asked_on() {
        let rows: Vec<usize> = (0..10).collect();
        let document = json!({"rows": rows, "few": [1, 2, 3, 4]});
        let cut = bounded(&document, bounds(3, 6, 1000));
        assert_eq!(cut["rows"], json!([6, 7, 8]));
        assert_eq!(cut["few"], json!([1, 2, 3]));
        let of = |list: &str| {
            cut["cut"]
                .as_array()
                .and_then(|all| all.iter().find(|one| one["list"] == list))
                .cloned()
        };
        let rows = of("rows").expect("rows");
        assert_eq!((&rows["shown"], &rows["of"]), (&json!(3), &json!(10)));
        assert_eq!(rows["how_to_ask_on"], "call again with first_row 9");
        assert!(of("few").is_some());
        let last = bounded(&document, bounds(3, 9, 1000));
        assert_eq!(last["rows"], json!([9]));
    }

    #[test]
    fn bytes_are_bounded() {
        let rows: Vec<Json> = (0..1000)
            .map(|i| json!({"text": "x".repeat(50), "i": i}))
            .collect();
        let document = json!({"rows": rows});
        let cut = bounded(&document, bounds(1000, 0, 5000));
        assert!(cut.to_string().len() <= 5000);
        assert!(!cut["rows"].as_array().expect("rows").is_empty());
        let text = json!({"text": "x".repeat(5000)});
        assert!(bounded(&text, bounds(10, 0, 1000)).to_string().len() <= 1000);
    }
}
