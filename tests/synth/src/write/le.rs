//! Little-endian numbers appended to a `Vec<u8>`.

/// What the writers of headers need.
pub(crate) trait Le {
    fn u16(&mut self, value: u16);
    fn u32(&mut self, value: u32);
    fn u64(&mut self, value: u64);
    /// Bytes, then zeros up to `width`.
    fn padded(&mut self, bytes: &[u8], width: usize);
    /// Zeros up to a multiple of `align`.
    fn align(&mut self, align: usize);
}

impl Le for Vec<u8> {
    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }

    fn padded(&mut self, bytes: &[u8], width: usize) {
        assert!(bytes.len() <= width, "{} > {width}", bytes.len());
        self.extend_from_slice(bytes);
        self.resize(self.len() + width - bytes.len(), 0);
    }

    fn align(&mut self, align: usize) {
        self.resize(self.len().next_multiple_of(align), 0);
    }
}
