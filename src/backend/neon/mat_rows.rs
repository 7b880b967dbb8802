//! Products of matrices.

use super::Neon;
use crate::backend::MatRows;

impl MatRows for Neon {}
