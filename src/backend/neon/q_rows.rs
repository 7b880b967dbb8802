//! Rows of 16- and 32-bit fixed point.

use super::Neon;
use crate::backend::QRows;

impl QRows for Neon {}
