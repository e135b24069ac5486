//! ebtables at the crash: the tables of bridges, rule by rule, in the shape of the other tables of
//! x_tables, with whose matches and targets they are made.
//!
//! Layer: subsystem. Input: a kernel with the types of ebtables, the reader of x_tables. Output:
//! [`XTable`](super::xt::XTable)s of a namespace, in the order of `ebtables-save`. Invariants: a
//! table is read no further than it says it is long; the layout of entries is that of uapi, which
//! does not change.

mod blob;
mod tables;

pub(super) use tables::Reader;
