//! Attention in logarithmic codes.

use super::Avx2;
use crate::backend::CodeRows;

impl CodeRows for Avx2 {}
