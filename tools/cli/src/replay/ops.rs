//! The operators that cases may name, each as the library's public call.

use anyhow::{Context, Result, bail, ensure};
use scrimp::nn::LayerNorm;
use scrimp::quant::{AdaLog, GeluForm, GeluS8, Symbols};
use scrimp::softmax::{log_softmax_f32, log_stablemax_f32, softmax_f32, stablemax_f32};
use scrimp::{Error, LogSoftmaxS8, Rows, SoftmaxS8, SoftmaxS16};

use super::bits;
use super::vectors::{Case, Output, Params, Tensor, Values};
use crate::encoder::EPSILON;

type Outputs = Vec<(&'static str, Output)>;
/// An operator without parameters, from rows to rows.
type RunF32 = fn(&[f32], &mut [f32], Rows) -> Result<(), Error>;
/// An operator with parameters, from rows to rows.
type RunOf<P, X, Y> = fn(&P, &[X], &mut [Y], Rows) -> Result<(), Error>;

pub(super) fn run(case: &Case) -> Result<Outputs> {
    let params = Params::of(case);
    if case.op == "adalog_encode" {
        let codes = adalog_encode(case, &params)?;
        params.finish()?;
        return Ok(vec![("codes", Output { values: Values::U16(codes), shape: shape_of_x(case)? })]);
    }
    let shape = match case.op.as_str() {
        "fully_connected_s8" | "fully_connected_s4" | "fully_connected_s16" => bits::fully_connected_shape(case),
        "batch_matmul_s8" | "batch_matmul_s16" => bits::batch_matmul_shape(case, &params),
        _ => shape_of_x(case),
    };
    let values = match case.op.as_str() {
        "softmax_f32" => f32_rows(case, softmax_f32),
        "log_softmax_f32" => f32_rows(case, log_softmax_f32),
        "stablemax_f32" => f32_rows(case, stablemax_f32),
        "log_stablemax_f32" => f32_rows(case, log_stablemax_f32),
        "softmax_s8" => softmax_s8(case, &params, SoftmaxS8::run).map(Values::I8),
        "softmax_s8_s16" => softmax_s8(case, &params, SoftmaxS8::run_s16).map(Values::I16),
        "softmax_s16" => softmax_s16(case, &params).map(Values::I16),
        "log_softmax_s8" => {
            let softmax = log_softmax_s8(&params)?;
            rows(case, Tensor::i8, |x, y, rows| softmax.run(x, y, rows)).map(Values::I8)
        }
        "gelu_s8" => {
            let gelu = gelu_s8(&params)?;
            let x = case.inputs.get("x").context("the case has no input x")?;
            ensure!(case.inputs.len() == 1, "an input besides x");
            let x = x.i8()?;
            let mut y = vec![0; x.len()];
            gelu.run(&x, &mut y)?;
            Ok(Values::I8(y))
        }
        "layer_norm_f32" => layer_norm_f32(case, &params),
        "fully_connected_s8" => bits::fully_connected_s8(case, &params, false),
        "fully_connected_s4" => bits::fully_connected_s8(case, &params, true),
        "fully_connected_s16" => bits::fully_connected_s16(case, &params),
        "batch_matmul_s8" => bits::batch_matmul_s8(case, &params),
        "batch_matmul_s16" => bits::batch_matmul_s16(case, &params),
        "double_round" => bits::double_round(case, &params),
        op => bail!("operator {op} is unknown"),
    }?;
    params.finish()?;
    Ok(vec![("y", Output { values, shape: shape? })])
}

fn shape_of_x(case: &Case) -> Result<Vec<usize>> {
    Ok(case.inputs.get("x").context("the case has no input x")?.shape.clone())
}

/// Inputs `weight` and `bias` may be missing: then they are ones and zeros.
fn layer_norm_f32(case: &Case, params: &Params<'_>) -> Result<Values> {
    let epsilon = params.real("epsilon")?.context("no `epsilon`")? as f32;
    ensure!((epsilon - EPSILON).abs() < 1e-11, "`epsilon` must be {EPSILON:e}, the library's");
    let x = case.inputs.get("x").context("the case has no input x")?;
    bits::only_inputs(case, &["x", "weight", "bias"])?;
    let [_, channels] = x.matrix()?;
    let part = |name: &str, usual: f32| match case.inputs.get(name) {
        Some(tensor) => {
            ensure!(tensor.shape == [channels], "{name} has shape {:?}, [{channels}] needed", tensor.shape);
            tensor.f32()
        }
        None => Ok(vec![usual; channels]),
    };
    let (weight, bias, x) = (part("weight", 1.0)?, part("bias", 0.0)?, x.f32()?);
    let mut y = vec![0.0; x.len()];
    LayerNorm::new(&weight, &bias)?.run(&x, &mut y)?;
    Ok(Values::F32(y))
}

fn adalog_encode(case: &Case, params: &Params<'_>) -> Result<Vec<u16>> {
    let natural = |name| -> Result<u32> {
        let integer = params.integer(name)?.with_context(|| format!("no `{name}`"))?;
        u32::try_from(integer).with_context(|| format!("`{name}` is negative"))
    };
    let symbols = match params.text("symbols")?.context("no `symbols`")? {
        "full" => Symbols::Full,
        "top_is_zero" => Symbols::TopIsZero,
        symbols => bail!("symbols {symbols} are unknown"),
    };
    let scale = params.real("scale")?.context("no `scale`")?;
    let codec = AdaLog::new(natural("bits")?, natural("q")?, scale, symbols)?.codec();
    let x = case.inputs.get("x").context("the case has no input x")?.f32()?;
    ensure!(case.inputs.len() == 1, "an input besides x");
    let mut codes = vec![0; x.len()];
    codec.encode(&x, &mut codes)?;
    Ok(codes)
}

fn gelu_s8(params: &Params<'_>) -> Result<GeluS8> {
    let tensor = |name: &str| -> Result<(f64, i8)> {
        let scale = params.real(&format!("{name}_scale"))?.with_context(|| format!("no `{name}_scale`"))?;
        let zero_point =
            params.integer(&format!("{name}_zero_point"))?.with_context(|| format!("no `{name}_zero_point`"))?;
        Ok((scale, i8::try_from(zero_point).with_context(|| format!("`{name}_zero_point` is no i8"))?))
    };
    let form = match params.flag("approximate_tanh")? {
        Some(true) => GeluForm::Tanh,
        _ => GeluForm::Erf,
    };
    Ok(GeluS8::new(tensor("input")?, tensor("output")?, form)?)
}

fn f32_rows(case: &Case, run: RunF32) -> Result<Values> {
    rows(case, Tensor::f32, run).map(Values::F32)
}

/// Runs an operator that has no input but rows `x`.
fn rows<X, Y: Clone + Default>(
    case: &Case,
    x: fn(&Tensor) -> Result<Vec<X>>,
    run: impl Fn(&[X], &mut [Y], Rows) -> Result<(), Error>,
) -> Result<Vec<Y>> {
    let tensor = case.inputs.get("x").context("the case has no input x")?;
    ensure!(case.inputs.len() == 1, "an input besides x");
    let [rows, cols] = tensor.matrix()?;
    let x = x(tensor)?;
    let mut y = vec![Y::default(); x.len()];
    run(&x, &mut y, Rows::new(rows, cols)?)?;
    Ok(y)
}

/// By the scale, by TFLite's integers, or by both, which then must agree.
fn softmax_s8<Y>(case: &Case, params: &Params<'_>, run: RunOf<SoftmaxS8, i8, Y>) -> Result<Vec<Y>>
where
    Y: Clone + Default + PartialEq,
{
    let beta = params.real("beta")?.unwrap_or(1.0);
    let mut ways = Vec::new();
    if let Some(scale) = params.real("input_scale")? {
        ways.push(SoftmaxS8::new(scale, beta)?);
    }
    match (params.integer("input_mult")?, params.integer("input_left_shift")?, params.integer("diff_min")?) {
        (Some(multiplier), Some(shift), Some(diff_min)) => {
            ways.push(SoftmaxS8::from_multiplier(multiplier, shift, diff_min)?);
        }
        (None, None, None) => {}
        _ => bail!("`input_mult`, `input_left_shift` and `diff_min` go together"),
    }
    agreed(&ways, |softmax| rows(case, Tensor::i8, |x, y, rows| run(softmax, x, y, rows)))
}

/// As [`softmax_s8`], without `diff_min`.
fn softmax_s16(case: &Case, params: &Params<'_>) -> Result<Vec<i16>> {
    let beta = params.real("beta")?.unwrap_or(1.0);
    let mut ways = Vec::new();
    if let Some(scale) = params.real("input_scale")? {
        ways.push(SoftmaxS16::new(scale, beta)?);
    }
    match (params.integer("input_mult")?, params.integer("input_left_shift")?) {
        (Some(multiplier), Some(shift)) => ways.push(SoftmaxS16::from_multiplier(multiplier, shift)?),
        (None, None) => {}
        _ => bail!("`input_mult` and `input_left_shift` go together"),
    }
    agreed(&ways, |softmax| rows(case, Tensor::i16, |x, y, rows| softmax.run(x, y, rows)))
}

/// What all the ways to state an operator's parameters give.
fn agreed<P, Y: PartialEq>(ways: &[P], run: impl Fn(&P) -> Result<Y>) -> Result<Y> {
    let (first, others) = ways.split_first().context("no `input_scale`, and no `input_mult` either")?;
    let y = run(first)?;
    for other in others {
        ensure!(run(other)? == y, "`input_mult` does not follow from `input_scale`");
    }
    Ok(y)
}

/// The output's scale and zero point are TFLite's; the input's zero point cancels.
fn log_softmax_s8(params: &Params<'_>) -> Result<LogSoftmaxS8> {
    let output = (params.real("output_scale")?, params.integer("output_zero_point")?);
    let is_fixed = matches!(output, (Some(scale), Some(127)) if scale.total_cmp(&0.0625).is_eq());
    ensure!(is_fixed, "`output_scale` must be 0.0625 and `output_zero_point` 127");
    params.integer("input_zero_point")?;
    Ok(LogSoftmaxS8::new(params.real("input_scale")?.context("no `input_scale`")?)?)
}
