//! The small real dump that comes with the project, held to what the big ones are.

use crate::real_dumps::{
    assert_aliases_as_captured, assert_equals_oracle, assert_slabinfo_as_captured,
};
use crate::support::small_dump;

#[test]
fn the_small_dump_equals_its_oracle() {
    assert_equals_oracle(&small_dump());
}

#[test]
fn the_small_dump_prints_the_guests_slabinfo() {
    assert_slabinfo_as_captured(&small_dump());
}

#[test]
fn the_small_dump_has_the_guests_aliases() {
    assert_aliases_as_captured(&small_dump());
}
