//! Postcard values one after another, into and out of a slice.

use serde::{Deserialize, Serialize};

/// Appends postcard values to a buffer.
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    used: usize,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, used: 0 }
    }

    /// Appends one value; `None` when the buffer is full.
    pub(crate) fn put<T: Serialize>(&mut self, value: &T) -> Option<()> {
        let rest = self.buffer.get_mut(self.used..)?;
        let length = postcard::to_slice(value, rest).ok()?.len();
        self.used = self.used.checked_add(length)?;
        Some(())
    }

    /// Appends bytes as they are; `None` when the buffer is full.
    pub(crate) fn put_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.used.checked_add(bytes.len())?;
        self.buffer.get_mut(self.used..end)?.copy_from_slice(bytes);
        self.used = end;
        Some(())
    }

    /// Everything appended so far.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }

    /// Number of bytes appended so far.
    pub(crate) const fn used(&self) -> usize {
        self.used
    }
}

/// Takes postcard values off the front of a slice.
pub(crate) struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next value; `None` when it is not one.
    pub(crate) fn take<T: Deserialize<'b>>(&mut self) -> Option<T> {
        let (value, rest) = postcard::take_from_bytes(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }

    /// What has not been taken.
    pub(crate) const fn rest(&self) -> &'b [u8] {
        self.rest
    }
}
