//! Rows of f32.

use super::Avx512;
use crate::backend::F32Rows;

impl F32Rows for Avx512 {}
