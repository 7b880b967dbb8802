//! Rows of f32 for StableMax.

use super::Dsp;
use crate::backend::StableRows;

impl StableRows for Dsp {}
