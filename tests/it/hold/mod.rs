//! What holds for every command and for the whole house: damage, missing pages, size, rooms.

pub(crate) mod architectures;
pub(crate) mod damage_matrix;
pub(crate) mod hostile;
pub(crate) mod machine;
pub(crate) mod much_memory;
pub(crate) mod rooms;
pub(crate) mod seeds;
pub(crate) mod thinned;
