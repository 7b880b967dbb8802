//! Rows of 16- and 32-bit fixed point.

use super::Avx512;
use crate::backend::QRows;

impl QRows for Avx512 {}
