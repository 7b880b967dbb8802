//! The format `kernel-vectors/1`: JSON cases of one operator each.

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) schema: String,
    /// For people.
    #[serde(rename = "origin")]
    _origin: Option<String>,
    /// For people.
    #[serde(rename = "license")]
    _license: Option<String>,
    pub(super) cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) op: String,
    pub(super) params: BTreeMap<String, Value>,
    pub(super) inputs: BTreeMap<String, Tensor>,
    pub(super) outputs: BTreeMap<String, Tensor>,
    pub(super) tolerance: Tolerance,
    /// What the format does not know.
    #[serde(flatten)]
    pub(super) unknown: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tolerance {
    pub(super) lsb: Option<f64>,
    pub(super) abs: Option<f64>,
    pub(super) rel: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tensor {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<Number>,
}

/// A number, or `"inf"`, `"-inf"`, `"nan"`; an f64 holds every element type exactly.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let number = match value.as_str() {
            Some("inf") => Some(f64::INFINITY),
            Some("-inf") => Some(f64::NEG_INFINITY),
            Some("nan") => Some(f64::NAN),
            Some(_) => None,
            None => value.as_f64(),
        };
        number.map(Self).ok_or_else(|| serde::de::Error::custom(format!("not a number: {value}")))
    }
}

impl Tensor {
    /// Every element is of the type, and there are as many as the shape says.
    pub(super) fn check(&self) -> Result<()> {
        let integers = |low: f64, high: f64| self.data.iter().all(|n| n.0.fract() == 0.0 && n.0 >= low && n.0 <= high);
        let packed = self.kind == "i4-packed";
        let fits = match self.kind.as_str() {
            "i8" => integers(f64::from(i8::MIN), f64::from(i8::MAX)),
            "u8" | "i4-packed" => integers(0.0, f64::from(u8::MAX)),
            "i16" => integers(f64::from(i16::MIN), f64::from(i16::MAX)),
            "u16" => integers(0.0, f64::from(u16::MAX)),
            "i32" => integers(f64::from(i32::MIN), f64::from(i32::MAX)),
            // Beyond 2^53 a JSON number is no longer exact.
            "i64" => integers(-(2f64.powi(53)), 2f64.powi(53)),
            "f32" => self.data.iter().all(|n| !n.0.is_finite() || (n.0 as f32).is_finite()),
            kind => bail!("element type {kind} is unknown"),
        };
        ensure!(fits, "an element is not of type {}", self.kind);
        let elements = self.shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
        let elements = elements.with_context(|| format!("the shape {:?} has too many elements", self.shape))?;
        let want = if packed { elements.div_ceil(2) } else { elements };
        ensure!(self.data.len() == want, "{} elements, the shape {:?} needs {want}", self.data.len(), self.shape);
        Ok(())
    }

    /// Rows and columns of a matrix.
    pub(super) fn matrix(&self) -> Result<[usize; 2]> {
        let shape = self.shape.as_slice().try_into();
        shape.with_context(|| format!("a matrix is needed, the shape is {:?}", self.shape))
    }

    pub(super) fn f32(&self) -> Result<Vec<f32>> {
        self.only("f32")?;
        Ok(self.data.iter().map(|n| n.0 as f32).collect())
    }

    pub(super) fn i8(&self) -> Result<Vec<i8>> {
        self.only("i8")?;
        Ok(self.data.iter().map(|n| n.0 as i8).collect())
    }

    pub(super) fn i16(&self) -> Result<Vec<i16>> {
        self.only("i16")?;
        Ok(self.data.iter().map(|n| n.0 as i16).collect())
    }

    pub(super) fn i32(&self) -> Result<Vec<i32>> {
        self.only("i32")?;
        Ok(self.data.iter().map(|n| n.0 as i32).collect())
    }

    /// Of 32 or 64 bits.
    pub(super) fn i64(&self) -> Result<Vec<i64>> {
        if self.kind != "i32" {
            self.only("i64")?;
        }
        Ok(self.data.iter().map(|n| n.0 as i64).collect())
    }

    /// Two weights of 4 bits in a byte.
    pub(super) fn packed_i4(&self) -> Result<Vec<u8>> {
        self.only("i4-packed")?;
        Ok(self.data.iter().map(|n| n.0 as u8).collect())
    }

    /// The four axes of a batch of matrices.
    pub(super) fn batch(&self) -> Result<[usize; 4]> {
        let shape = self.shape.as_slice().try_into();
        shape.with_context(|| format!("four axes are needed, the shape is {:?}", self.shape))
    }

    fn only(&self, kind: &str) -> Result<()> {
        ensure!(self.kind == kind, "type {} where {kind} is needed", self.kind);
        Ok(())
    }
}

/// What an operator gave, and its shape.
pub(super) struct Output {
    pub(super) values: Values,
    pub(super) shape: Vec<usize>,
}

pub(super) enum Values {
    F32(Vec<f32>),
    I8(Vec<i8>),
    I16(Vec<i16>),
    U16(Vec<u16>),
}

impl Values {
    /// The format's name for the element type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::I8(_) => "i8",
            Self::I16(_) => "i16",
            Self::U16(_) => "u16",
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::I8(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::U16(v) => v.len(),
        }
    }

    pub(super) fn at(&self, i: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[i]),
            Self::I8(v) => f64::from(v[i]),
            Self::I16(v) => f64::from(v[i]),
            Self::U16(v) => f64::from(v[i]),
        }
    }
}

/// The parameters of a case; what nobody asked for is an error.
pub(super) struct Params<'a> {
    all: &'a BTreeMap<String, Value>,
    asked: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Params<'a> {
    pub(super) fn of(case: &'a Case) -> Self {
        Self { all: &case.params, asked: RefCell::default() }
    }

    /// A real number, if it is there.
    pub(super) fn real(&self, name: &str) -> Result<Option<f64>> {
        let Some((name, value)) = self.all.get_key_value(name) else { return Ok(None) };
        self.asked.borrow_mut().insert(name);
        value.as_f64().map(Some).with_context(|| format!("parameter {name} is not a number: {value}"))
    }

    /// An integer, if it is there.
    pub(super) fn integer(&self, name: &str) -> Result<Option<i32>> {
        let Some(real) = self.real(name)? else { return Ok(None) };
        let integer = real as i32;
        ensure!(f64::from(integer).total_cmp(&real).is_eq(), "parameter {name} is not an i32: {real}");
        Ok(Some(integer))
    }

    /// A text, if it is there.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        let Some((name, value)) = self.all.get_key_value(name) else { return Ok(None) };
        self.asked.borrow_mut().insert(name);
        value.as_str().map(Some).with_context(|| format!("parameter {name} is no text: {value}"))
    }

    /// A flag, if it is there.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        let Some((name, value)) = self.all.get_key_value(name) else { return Ok(None) };
        self.asked.borrow_mut().insert(name);
        value.as_bool().map(Some).with_context(|| format!("parameter {name} is neither true nor false: {value}"))
    }

    /// An integer that must be there.
    pub(super) fn needed(&self, name: &str) -> Result<i32> {
        self.integer(name)?.with_context(|| format!("no parameter {name}"))
    }

    /// One integer, or a list of them, that must be there.
    pub(super) fn integers(&self, name: &str) -> Result<Vec<i32>> {
        let Some((name, Value::Array(list))) = self.all.get_key_value(name) else {
            return Ok(vec![self.needed(name)?]);
        };
        self.asked.borrow_mut().insert(name);
        let integer = |value: &Value| value.as_i64().and_then(|integer| i32::try_from(integer).ok());
        let integers: Option<Vec<_>> = list.iter().map(integer).collect();
        integers.with_context(|| format!("parameter {name} is not a list of i32"))
    }

    /// A flag that must be there.
    pub(super) fn needed_flag(&self, name: &str) -> Result<bool> {
        self.flag(name)?.with_context(|| format!("no parameter {name}"))
    }

    /// Fails if a parameter was not asked for.
    pub(super) fn finish(self) -> Result<()> {
        let asked = self.asked.into_inner();
        let unknown: Vec<_> = self.all.keys().filter(|name| !asked.contains(name.as_str())).cloned().collect();
        ensure!(unknown.is_empty(), "unknown parameter {}", unknown.join(", "));
        Ok(())
    }
}
