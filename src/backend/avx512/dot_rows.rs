//! Products with stored weights.

use super::Avx512;
use crate::backend::DotRows;

impl DotRows for Avx512 {}
