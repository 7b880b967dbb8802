//! Depthwise convolutions.

use super::Avx2;
use crate::backend::DepthRows;

impl DepthRows for Avx2 {}
