//! Attention in logarithmic codes.

use super::Neon;
use crate::backend::CodeRows;

impl CodeRows for Neon {}
