//! Values that are made when they are first asked for, on several threads.

use std::sync::OnceLock;

/// As `OnceLock::get_or_init`, for what is made with rayon's help or may ask for what is: a thread
/// that waits for a part of it takes other work meanwhile, and if that asked for the same value
/// the thread would wait for itself. Here it makes the value once more; the first that is made
/// stays.
pub(crate) fn get_or_make<T>(cell: &OnceLock<T>, make: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(made) => made,
        None => {
            let value = make();
            cell.get_or_init(|| value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_makes_a_value_may_ask_for_it() {
        let cell = OnceLock::new();
        let value = get_or_make(&cell, || *get_or_make(&cell, || 1) + 1);
        assert_eq!(*value, 1);
    }
}
