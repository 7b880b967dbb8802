//! Rows of two operands.

use super::Avx2;
use crate::backend::PairRows;

impl PairRows for Avx2 {}
