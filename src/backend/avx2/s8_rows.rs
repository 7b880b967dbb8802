//! Rows of 8-bit integers.

use super::Avx2;
use crate::backend::S8Rows;

impl S8Rows for Avx2 {}
