//! The operators that cases may name, each as the library's public call.

use anyhow::{Context, Result, bail, ensure};
use scrimp::{Error, Rows, softmax_f32};

use super::vectors::{Case, Params, Tensor, Values};

type Outputs = Vec<(&'static str, Values)>;
/// A function from f32 rows to f32 rows.
type Float = fn(&[f32], &mut [f32], Rows) -> Result<(), Error>;

pub(super) fn run(case: &Case) -> Result<Outputs> {
    let params = Params::of(case);
    let outputs = match case.op.as_str() {
        "softmax_f32" => float(case, softmax_f32),
        op => bail!("operator {op} is unknown"),
    }?;
    params.finish()?;
    Ok(outputs)
}

fn float(case: &Case, run: Float) -> Result<Outputs> {
    let (x, rows) = only_input(case)?;
    let x = x.f32()?;
    let mut y = vec![0.0; x.len()];
    run(&x, &mut y, rows)?;
    Ok(vec![("y", Values::F32(y))])
}

/// The input `x` of an operator that has no other, as rows.
fn only_input(case: &Case) -> Result<(&Tensor, Rows)> {
    let x = case.inputs.get("x").context("the case has no input x")?;
    ensure!(case.inputs.len() == 1, "an input besides x");
    let [rows, cols] = x.matrix()?;
    Ok((x, Rows::new(rows, cols)?))
}
