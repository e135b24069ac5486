//! Memory cgroups: by the guests' own files, and in kernels where each has caches of its own.

mod own_caches;
mod tree;
