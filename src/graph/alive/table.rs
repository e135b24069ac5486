//! Numbers by node: reading beyond the end gives nothing, and never panics.

/// One value for each node.
#[derive(Clone, Debug, Default)]
pub(super) struct Table<T>(Vec<T>);

impl<T: Copy> Table<T> {
    pub(super) fn new(len: u32, value: T) -> Self {
        Self(vec![value; len as usize])
    }

    pub(super) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    pub(super) fn get(&self, at: u32) -> Option<T> {
        self.0.get(at as usize).copied()
    }

    pub(super) fn set(&mut self, at: u32, value: T) {
        if let Some(slot) = self.0.get_mut(at as usize) {
            *slot = value;
        }
    }

    pub(super) fn push(&mut self, value: T) {
        self.0.push(value);
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, T)> + Clone + '_ {
        (0u32..self.len()).zip(self.0.iter().copied())
    }
}

impl<T> From<Vec<T>> for Table<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl Table<u64> {
    pub(super) fn add(&mut self, at: u32, value: u64) {
        if let Some(slot) = self.0.get_mut(at as usize) {
            *slot = slot.saturating_add(value);
        }
    }

    pub(super) fn sum(&self, at: u32) -> u64 {
        self.get(at).unwrap_or(0)
    }
}
