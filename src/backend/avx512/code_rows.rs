//! Attention in logarithmic codes.

use super::Avx512;
use crate::backend::CodeRows;

impl CodeRows for Avx512 {}
