//! Rows of 8-bit integers.

use super::Neon;
use crate::backend::S8Rows;

impl S8Rows for Neon {}
