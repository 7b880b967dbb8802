//! Products with stored weights.

use super::Neon;
use crate::backend::DotRows;

impl DotRows for Neon {}
