//! Windows of pools.

use super::Avx2;
use crate::backend::PoolRows;

impl PoolRows for Avx2 {}
