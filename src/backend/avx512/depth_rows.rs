//! Depthwise convolutions.

use super::Avx512;
use crate::backend::DepthRows;

impl DepthRows for Avx512 {}
