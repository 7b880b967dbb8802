//! Rows of 16- and 32-bit fixed point.

use super::Helium;
use crate::backend::QRows;

impl QRows for Helium {}
