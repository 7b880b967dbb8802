//! Depthwise convolutions.

use super::Neon;
use crate::backend::DepthRows;

impl DepthRows for Neon {}
