//! Rows of 16- and 32-bit fixed point.

use super::Avx2;
use crate::backend::QRows;

impl QRows for Avx2 {}
