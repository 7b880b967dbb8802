//! Rows of f32.

use super::Helium;
use crate::backend::F32Rows;

impl F32Rows for Helium {}
