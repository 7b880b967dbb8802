//! Attention in logarithmic codes.

use super::Dsp;
use crate::backend::CodeRows;

impl CodeRows for Dsp {}
