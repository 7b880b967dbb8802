//! Rows of 8-bit integers.

use super::Dsp;
use crate::backend::S8Rows;

impl S8Rows for Dsp {}
