//! Products of matrices.

use super::Avx2;
use crate::backend::MatRows;

impl MatRows for Avx2 {}
