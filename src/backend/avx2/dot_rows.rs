//! Products with stored weights.

use super::Avx2;
use crate::backend::DotRows;

impl DotRows for Avx2 {}
