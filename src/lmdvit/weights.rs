//! The weights, checked once against the configuration, then read from the model wherever they are needed.

use core::fmt::{self, Write};

use super::config::Config;
use crate::error::{Error, TensorFault};
use crate::model::{Element, Model};
use crate::nn::LayerNorm;
use crate::nn::conv::Conv;

/// Having one tells you that the model holds exactly the tensors of the configuration, in order, f32, in shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights<'m> {
    model: Model<'m>,
}

impl<'m> Weights<'m> {
    pub(crate) fn new(model: &Model<'m>, config: &Config) -> Result<Self, Error> {
        let mut count = 0;
        for (index, spec) in config.tensors().enumerate() {
            let fault = |fault| Error::Tensor { index, fault };
            let tensor = model.tensor(index).ok_or(fault(TensorFault::Missing))?;
            let mut rest = Rest(tensor.name());
            if write!(rest, "{spec}").is_err() || !rest.0.is_empty() {
                return Err(fault(TensorFault::Name));
            }
            if tensor.element() != Element::F32 {
                return Err(fault(TensorFault::Element));
            }
            if tensor.shape() != spec.shape() {
                return Err(fault(TensorFault::Shape));
            }
            count += 1;
        }
        if model.len() > count {
            return Err(Error::Tensor { index: count, fault: TensorFault::Surplus });
        }
        Ok(Self { model: *model })
    }

    /// The elements of tensor `index`.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> &'m [f32] {
        self.model.tensor(index).and_then(|t| t.as_f32()).unwrap_or(&[])
    }

    /// The layer normalisation whose weight is tensor `index`; `None` never happens after `new`.
    #[inline]
    pub(crate) fn norm(&self, index: usize) -> Option<LayerNorm<'m>> {
        LayerNorm::new(self.get(index), self.get(index + 1)).ok()
    }

    /// The convolution whose weight is tensor `index`.
    #[inline]
    pub(crate) fn conv(&self, index: usize) -> Conv<'m> {
        let (weight, bias) = (self.get(index), self.get(index + 1));
        let outputs = bias.len();
        Conv { weight, bias, patch: weight.len() / outputs.max(1), outputs }
    }
}

/// What is left of a name when the expected one is written over it; an error at the first difference.
struct Rest<'a>(&'a str);

impl Write for Rest<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(s).ok_or(fmt::Error)?;
        Ok(())
    }
}
