//! Why things are alive: who retains how much, the way from a root, where things pile up.

mod planted;
