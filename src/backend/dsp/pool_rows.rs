//! Windows of pools.

use super::Dsp;
use crate::backend::PoolRows;

impl PoolRows for Dsp {}
