//! Rows of f32.

use super::Avx2;
use crate::backend::F32Rows;

impl F32Rows for Avx2 {}
