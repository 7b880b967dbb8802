//! Rows of f32.

use super::Neon;
use crate::backend::F32Rows;

impl F32Rows for Neon {}
