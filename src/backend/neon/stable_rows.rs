//! Rows of f32 for StableMax.

use super::Neon;
use crate::backend::StableRows;

impl StableRows for Neon {}
