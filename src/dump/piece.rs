//! Physical memory in pieces of several kinds, by address and without overlap: what is written
//! later replaces what was written before.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::addr::SMALLEST_PAGE;

pub(super) const PAGE: u64 = SMALLEST_PAGE as u64;

/// How a piece is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Page after page, each so many bytes behind the one before.
    Pages {
        /// From one page to the next.
        stride: u32,
    },
    /// All bytes are this one.
    Fill(u8),
    /// A packed frame of so many bytes, of which the piece is what follows the first `skip`.
    Frame {
        /// Bytes in the file.
        stored: u32,
        /// Bytes that come before.
        skip: u32,
    },
}

/// Physical memory `start..start + len`, from `offset` of the file on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) offset: u64,
    pub(super) kind: Kind,
}

impl Piece {
    pub(super) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// The part of it in `range`, if any is.
    pub(super) fn within(self, range: &Range<u64>) -> Option<Self> {
        (self.start < range.end && range.start < self.end()).then(|| self.cut(range))
    }

    /// The part of it in `range`, of which some is in it.
    fn cut(self, range: &Range<u64>) -> Self {
        let start = self.start.max(range.start);
        let end = self.end().min(range.end);
        let gone = start - self.start;
        let (offset, kind) = match self.kind {
            Kind::Pages { stride } => (self.at(gone, stride), self.kind),
            Kind::Fill(_) => (self.offset, self.kind),
            Kind::Frame { stored, skip } => {
                let skip = skip.saturating_add(u32::try_from(gone).unwrap_or(u32::MAX));
                (self.offset, Kind::Frame { stored, skip })
            }
        };
        Self {
            start,
            len: end.saturating_sub(start),
            offset,
            kind,
        }
    }

    /// Where byte `within` of the pages lies in the file.
    pub(super) fn at(&self, within: u64, stride: u32) -> u64 {
        let pages = (within / PAGE).saturating_mul(u64::from(stride));
        self.offset
            .saturating_add(pages)
            .saturating_add(within % PAGE)
    }

    /// One longer piece of this and the next, where they are one run.
    fn joined(self, next: &Self) -> Option<Self> {
        let follows = self.end() == next.start;
        let fits = match (self.kind, next.kind) {
            (Kind::Fill(a), Kind::Fill(b)) => a == b,
            (Kind::Pages { stride }, Kind::Pages { .. }) if self.len == PAGE => {
                // A run begins: the next page says how far they are apart.
                let stride_here = next.offset.checked_sub(self.offset)?;
                let stride_here = u32::try_from(stride_here)
                    .ok()
                    .filter(|here| *here >= stride)?;
                return follows.then_some(Self {
                    len: self.len + next.len,
                    kind: Kind::Pages {
                        stride: stride_here,
                    },
                    ..self
                });
            }
            (Kind::Pages { stride }, Kind::Pages { .. }) => {
                next.len == PAGE && self.at(self.len, stride) == next.offset
            }
            _ => false,
        };
        (follows && fits).then_some(Self {
            len: self.len + next.len,
            ..self
        })
    }
}

/// Pieces without overlap, by address.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    by_start: BTreeMap<u64, Piece>,
    /// The one that was added last: the next may continue it.
    last: Option<Piece>,
}

impl Pieces {
    /// Adds a piece; what was there before is gone.
    pub(super) fn add(&mut self, piece: Piece) {
        if piece.len == 0 || piece.start.checked_add(piece.len).is_none() {
            return;
        }
        let last = self.last.take();
        self.last = match last {
            None => Some(piece),
            Some(last) => Some(last.joined(&piece).unwrap_or_else(|| {
                self.insert(last);
                piece
            })),
        };
    }

    fn insert(&mut self, piece: Piece) {
        let (start, end) = (piece.start, piece.end());
        let before = self.by_start.range(..start).next_back();
        let first = before
            .filter(|(_, known)| known.end() > start)
            .map_or(start, |(at, _)| *at);
        let hidden: Vec<Piece> = self
            .by_start
            .range(first..end)
            .map(|(_, known)| *known)
            .collect();
        for known in hidden {
            self.by_start.remove(&known.start);
            for rest in [0..start, end..u64::MAX] {
                if known.start < rest.end && rest.start < known.end() {
                    let part = known.cut(&rest);
                    self.by_start.insert(part.start, part);
                }
            }
        }
        self.by_start.insert(start, piece);
    }

    /// All of them.
    pub(super) fn into_sorted(mut self) -> Vec<Piece> {
        if let Some(last) = self.last.take() {
            self.insert(last);
        }
        self.by_start.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64, offset: u64) -> Piece {
        Piece {
            start: number * PAGE,
            len: PAGE,
            offset,
            kind: Kind::Pages { stride: 4096 },
        }
    }

    #[test]
    fn pages_in_a_row_are_one_piece_and_later_ones_hide_earlier_ones() {
        let mut pieces = Pieces::default();
        for number in 0..8 {
            pieces.add(page(number, 100 + number * 4104));
        }
        pieces.add(page(3, 90_000));
        let found = pieces.into_sorted();
        let got: Vec<_> = found
            .iter()
            .map(|p| (p.start / PAGE, p.len / PAGE, p.offset))
            .collect();
        assert_eq!(got, [(0, 3, 100), (3, 1, 90_000), (4, 4, 100 + 4 * 4104)]);
        assert_eq!(found[0].kind, Kind::Pages { stride: 4104 });
        assert_eq!(found[2].at(PAGE + 5, 4104), 100 + 5 * 4104 + 5);
    }
}
