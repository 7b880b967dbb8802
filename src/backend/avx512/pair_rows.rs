//! Rows of two operands.

use super::Avx512;
use crate::backend::PairRows;

impl PairRows for Avx512 {}
