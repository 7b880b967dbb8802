//! Primitives on rows of 16- and 32-bit fixed point.

/// What a backend can speed up in rows of i16 and i32. Every backend gives the same bytes.
pub trait QRows: Copy {}
