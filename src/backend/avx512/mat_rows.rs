//! Products of matrices.

use super::Avx512;
use crate::backend::MatRows;

impl MatRows for Avx512 {}
