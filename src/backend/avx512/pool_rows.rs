//! Windows of pools.

use super::Avx512;
use crate::backend::PoolRows;

impl PoolRows for Avx512 {}
