//! Products with stored weights.

use super::Dsp;
use crate::backend::DotRows;

impl DotRows for Dsp {}
