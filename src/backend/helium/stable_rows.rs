//! Rows of f32 for StableMax.

use super::Helium;
use crate::backend::StableRows;

impl StableRows for Helium {}
