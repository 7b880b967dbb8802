//! Rows of two operands.

use super::Neon;
use crate::backend::PairRows;

impl PairRows for Neon {}
