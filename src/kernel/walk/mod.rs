//! Bounded walks over the kernel's linked structures: all of them, and nowhere else.
//!
//! Layer: kernel. Input: an address space and where a structure begins. Output: the addresses of
//! its elements. Invariants: every walk has a bound that something else gives, and a structural
//! check (the back-link of a `list_head`, the marker of `hlist_nulls`, a visited set for trees),
//! no recursion, and says how it ended.

mod hlist;
pub mod idr;
mod list;
mod rbtree;
mod rhashtable;
pub mod xarray;

pub use hlist::{NullsEnd, hlist, hlist_bl, hlist_nulls};
pub use list::{chain, list};
pub use rbtree::rbtree;
pub use rhashtable::rhashtable;
