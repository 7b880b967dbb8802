//! Rows of 8-bit integers.

use super::Helium;
use crate::backend::S8Rows;

impl S8Rows for Helium {}
