//! The operators on integers: fully connected layers, products of batches, Double Rounding.
//!
//! A layer runs with its weights as they are and packed for every layout, and all must agree.

use anyhow::{Context, Result, ensure};
use scrimp::Rows;
use scrimp::bits::{self, Format, Layout, Weights, Width, packed_words};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{BatchMatMulS8, BatchMatMulS16, BatchShape, LinearS8, LinearS16, QuantS8, Requant, RequantS16};

use super::vectors::{Case, Params, Tensor, Values};

fn input<'a>(case: &'a Case, name: &str) -> Result<&'a Tensor> {
    case.inputs.get(name).with_context(|| format!("the case has no input {name}"))
}

/// Fails if the case has an input of another name.
pub(super) fn only_inputs(case: &Case, names: &[&str]) -> Result<()> {
    let unknown = case.inputs.keys().find(|name| !names.contains(&name.as_str()));
    ensure!(unknown.is_none(), "unknown input {unknown:?}");
    Ok(())
}

/// Rows of `x`, outputs of `w`.
pub(super) fn fully_connected_shape(case: &Case) -> Result<Vec<usize>> {
    Ok(vec![input(case, "x")?.matrix()?[0], input(case, "w")?.matrix()?[0]])
}

pub(super) fn batch_matmul_shape(case: &Case, params: &Params<'_>) -> Result<Vec<usize>> {
    Ok(batch(case, params)?.0.output().to_vec())
}

fn multipliers(params: &Params<'_>) -> Result<Vec<Multiplier>> {
    let (mantissas, shifts) = (params.integers("output_multiplier")?, params.integers("output_shift")?);
    ensure!(mantissas.len() == shifts.len(), "as many multipliers as shifts are needed");
    Ok(mantissas.into_iter().zip(shifts).map(|(mantissa, shift)| Multiplier { mantissa, shift }).collect())
}

pub(super) fn fully_connected_s8(case: &Case, params: &Params<'_>, is_s4: bool) -> Result<Values> {
    only_inputs(case, &["x", "w", "bias"])?;
    let (x, w) = (input(case, "x")?, input(case, "w")?);
    let ([rows, depth], [outputs, w_depth]) = (x.matrix()?, w.matrix()?);
    ensure!(depth == w_depth, "x has {depth} columns, w {w_depth}");
    let shape = Rows::new(outputs, depth)?;
    let (width, format) = if is_s4 { (Width::W4, Format::S4) } else { (Width::W8, Format::S8) };
    let (packed, codes) = if is_s4 { (w.packed_i4()?, Vec::new()) } else { (Vec::new(), w.i8()?) };
    let weights = if is_s4 { Weights::s4(&packed, shape) } else { Weights::s8(&codes, shape) }?;
    let bias = case.inputs.get("bias").map_or_else(|| Ok(Vec::new()), Tensor::i32)?;
    let multipliers = multipliers(params)?;
    let quant = QuantS8 {
        input_offset: params.needed("input_offset")?,
        filter_offset: params.needed("filter_offset")?,
        output_offset: params.needed("output_offset")?,
        min: i8::try_from(params.needed("activation_min")?)?,
        max: i8::try_from(params.needed("activation_max")?)?,
        ..QuantS8::PLAIN
    };
    let x = x.i8()?;
    let run = |weights: Weights<'_>| -> Result<Vec<i8>> {
        let (mut folded, mut mantissa, mut shift) = (vec![0; outputs], vec![0; outputs], vec![0; outputs]);
        let tables = (&mut folded[..], &mut mantissa[..], &mut shift[..]);
        let requant = Requant::build(tables, &weights, width, &quant, &bias, &multipliers)?;
        let mut y = vec![0; rows * outputs];
        LinearS8::new(weights, &[(width, requant)], quant)?.run(&x, &mut y, rows)?;
        Ok(y)
    };
    let y = run(weights)?;
    for layout in [Layout::Dsp, Layout::Helium, Layout::Wide] {
        let mut words = vec![0; packed_words(format, layout, shape)];
        let packed = weights.pack_into(format, layout, width, &mut words, &mut [])?;
        ensure!(run(packed)? == y, "weights in layout {layout:?} give other bytes");
    }
    Ok(Values::I8(y))
}

pub(super) fn fully_connected_s16(case: &Case, params: &Params<'_>) -> Result<Values> {
    only_inputs(case, &["x", "w", "bias"])?;
    let (x, w) = (input(case, "x")?, input(case, "w")?);
    let ([rows, depth], [outputs, w_depth]) = (x.matrix()?, w.matrix()?);
    ensure!(depth == w_depth, "x has {depth} columns, w {w_depth}");
    no_offsets(params, &["input_offset", "filter_offset", "output_offset"])?;
    let codes = w.i8()?;
    let weights = Weights::s8(&codes, Rows::new(outputs, depth)?)?;
    let bias = case.inputs.get("bias").map_or_else(|| Ok(vec![0; outputs]), Tensor::i64)?;
    let multipliers = multipliers(params)?;
    let of = |o: usize| multipliers[if multipliers.len() == 1 { 0 } else { o }];
    ensure!(multipliers.len() == 1 || multipliers.len() == outputs, "one multiplier, or one for each output");
    let mantissa: Vec<_> = (0..outputs).map(|o| of(o).mantissa).collect();
    let shift = (0..outputs).map(|o| i8::try_from(of(o).shift)).collect::<Result<Vec<_>, _>>()?;
    let widths = [(Width::W8, RequantS16::new(&bias, &mantissa, &shift)?)];
    let (min, max) = (params.needed("activation_min")?, params.needed("activation_max")?);
    let layer = LinearS16::new(weights, &widths, i16::try_from(min)?, i16::try_from(max)?)?;
    let mut y = vec![0; rows * outputs];
    layer.run(&x.i16()?, &mut y, rows)?;
    Ok(Values::I16(y))
}

/// 16-bit tensors have no zero points.
fn no_offsets(params: &Params<'_>, names: &[&str]) -> Result<()> {
    for name in names {
        ensure!(params.needed(name)? == 0, "`{name}` must be 0 for 16 bits");
    }
    Ok(())
}

fn batch(case: &Case, params: &Params<'_>) -> Result<(BatchShape, Multiplier, usize)> {
    only_inputs(case, &["lhs", "rhs"])?;
    let (adj_x, adj_y) = (params.needed_flag("adj_x")?, params.needed_flag("adj_y")?);
    let shape = BatchShape::new(input(case, "lhs")?.batch()?, input(case, "rhs")?.batch()?, adj_x, adj_y)?;
    let multiplier =
        Multiplier { mantissa: params.needed("output_multiplier")?, shift: params.needed("output_shift")? };
    Ok((shape, multiplier, shape.output().iter().product()))
}

pub(super) fn batch_matmul_s8(case: &Case, params: &Params<'_>) -> Result<Values> {
    let (shape, multiplier, elements) = batch(case, params)?;
    let offsets = [params.needed("lhs_offset")?, params.needed("rhs_offset")?];
    let (min, max) = (params.needed("activation_min")?, params.needed("activation_max")?);
    let product = BatchMatMulS8::new(multiplier, offsets, params.needed("output_offset")?)?
        .with_range(i8::try_from(min)?, i8::try_from(max)?)?;
    let mut y = vec![0; elements];
    let mut scratch = vec![0; shape.scratch()];
    product.run(&input(case, "lhs")?.i8()?, &input(case, "rhs")?.i8()?, &mut y, &shape, &mut scratch)?;
    Ok(Values::I8(y))
}

pub(super) fn batch_matmul_s16(case: &Case, params: &Params<'_>) -> Result<Values> {
    let (shape, multiplier, elements) = batch(case, params)?;
    no_offsets(params, &["lhs_offset", "rhs_offset", "output_offset"])?;
    let (min, max) = (params.needed("activation_min")?, params.needed("activation_max")?);
    let product = BatchMatMulS16::new(multiplier, i16::try_from(min)?, i16::try_from(max)?)?;
    let mut y = vec![0; elements];
    product.run(&input(case, "lhs")?.i16()?, &input(case, "rhs")?.i16()?, &mut y, &shape)?;
    Ok(Values::I16(y))
}

/// The function, and all that decodes weights.
pub(super) fn double_round(case: &Case, params: &Params<'_>) -> Result<Values> {
    only_inputs(case, &["x"])?;
    ensure!(params.needed("from")? == 8, "`from` must be 8");
    let to = u32::try_from(params.needed("to")?).ok().and_then(Width::from_bits).context("`to` must be 2 to 8")?;
    let x = input(case, "x")?.i8()?;
    let y: Vec<i8> = x.iter().map(|&q| bits::double_round(q, to)).collect();
    let weights = Weights::raw8(&x, Rows::one(x.len())?)?;
    for (i, &want) in y.iter().enumerate() {
        ensure!(weights.code(to, 0, i) == Some(want), "weights read at {to:?} are others");
    }
    Ok(Values::I8(y))
}
