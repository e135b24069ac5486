//! The slab allocator: synthetic kernels, real dumps, and what damage costs.

pub(crate) mod arm64;
pub(crate) mod backports;
pub(crate) mod classic;
pub(crate) mod damage;
pub(crate) mod kfree_rcu;
pub(crate) mod real;
pub(crate) mod sections;
pub(crate) mod sheaves;
pub(crate) mod synthetic;
pub(crate) mod wounds;
