//! Windows of pools.

use super::Neon;
use crate::backend::PoolRows;

impl PoolRows for Neon {}
