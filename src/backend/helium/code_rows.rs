//! Attention in logarithmic codes.

use super::Helium;
use crate::backend::CodeRows;

impl CodeRows for Helium {}
