//! Primitives on rows of 8-bit integers.

/// What a backend can speed up in rows of i8. Every backend gives the same bytes.
pub trait S8Rows: Copy {}
