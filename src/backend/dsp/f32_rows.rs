//! Rows of f32.

use super::Dsp;
use crate::backend::F32Rows;

impl F32Rows for Dsp {}
