//! Rows of f32 for StableMax.

use super::Avx2;
use crate::backend::StableRows;

impl StableRows for Avx2 {}
