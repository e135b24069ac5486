//! Connections and translations: synthetic kernels, real dumps, and what damage costs.

pub(crate) mod damage;
pub(crate) mod nat;
pub(crate) mod real;
pub(crate) mod synthetic;
