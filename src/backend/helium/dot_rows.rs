//! Products with stored weights.

use super::Helium;
use crate::backend::DotRows;

impl DotRows for Helium {}
