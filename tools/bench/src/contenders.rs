//! What is timed: our forms and the crates that a user would take instead.

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::softmax::{log_softmax_f32_on, softmax_f32_on, stablemax_f32_on, three_pass_f32_on, two_pass_f32_on};

/// One way to a softmax of `x` in `y`.
pub struct Contender {
    pub name: &'static str,
    /// The crate and its version, for a rival.
    pub peer: Option<&'static str>,
    pub run: Run,
}

type Run = Box<dyn FnMut(&[f32], &mut [f32])>;

/// The rival that ratios are against, for softmax and for its logarithm.
pub const RIVAL: &str = "rten-vecmath 0.27";

type Form<D> = fn(D, &[f32], &mut [f32], Rows) -> Result<(), scrimp::Error>;

/// Ours first.
pub fn all<D: Dispatch + 'static>(d: D) -> Vec<Contender> {
    let forms: [(&str, Form<D>); 5] = [
        ("softmax_f32", softmax_f32_on),
        ("stablemax_f32", stablemax_f32_on),
        ("three_pass_f32", three_pass_f32_on),
        ("two_pass_f32", two_pass_f32_on),
        ("log_softmax_f32", log_softmax_f32_on),
    ];
    let ours = forms.map(|(name, form)| {
        let run = move |x: &[f32], y: &mut [f32]| {
            let rows = Rows::one(x.len()).expect("rows are not empty");
            form(d, x, y, rows).expect("the lengths are right");
        };
        Contender { name, peer: None, run: Box::new(run) }
    });
    let mut all = Vec::from(ours);
    all.extend(rten());
    all.extend([
        Contender { name: "softmax_f32", peer: Some("candle-nn 0.11"), run: candle() },
        Contender { name: "softmax_f32", peer: Some("tract-linalg 0.23"), run: tract() },
        Contender { name: "softmax_f32", peer: Some("embedded-nn 0.2"), run: Box::new(embedded_nn) },
    ]);
    all
}

fn rten() -> [Contender; 2] {
    use rten_simd::SimdOp;
    use rten_vecmath::{LogSoftmax, Softmax};
    let softmax = |x: &[f32], y: &mut [f32]| {
        Softmax::new(x, uninit(y)).dispatch();
    };
    let log_softmax = |x: &[f32], y: &mut [f32]| {
        LogSoftmax::new(x, uninit(y)).dispatch();
    };
    [
        Contender { name: "softmax_f32", peer: Some(RIVAL), run: Box::new(softmax) },
        Contender { name: "log_softmax_f32", peer: Some(RIVAL), run: Box::new(log_softmax) },
    ]
}

fn uninit(y: &mut [f32]) -> &mut [std::mem::MaybeUninit<f32>] {
    // SAFETY: the same layout, and rten only writes f32.
    unsafe { &mut *(std::ptr::from_mut(y) as *mut [std::mem::MaybeUninit<f32>]) }
}

fn embedded_nn(x: &[f32], y: &mut [f32]) {
    embedded_nn::float_ops::softmax_f32(x, 1, x.len(), y).expect("the lengths are right");
}

/// Its tensors own their elements: the input is copied into one at the first call, which is not timed, and every call
/// allocates its output.
fn candle() -> Run {
    use candle_core::{Device, Tensor};
    let mut input: Option<(*const f32, Tensor)> = None;
    Box::new(move |x, _| {
        let tensor = match &input {
            Some((at, tensor)) if *at == x.as_ptr() && tensor.elem_count() == x.len() => tensor,
            _ => {
                let tensor = Tensor::from_slice(x, (1, x.len()), &Device::Cpu).expect("the shape is right");
                &input.insert((x.as_ptr(), tensor)).1
            }
        };
        std::hint::black_box(candle_nn::ops::softmax_last_dim(tensor).expect("rows are contiguous"));
    })
}

/// The three routines that its softmax operator calls for a row, which work in place: hence the copy.
fn tract() -> Run {
    use tract_linalg::routines::Func;
    let max = Func::ReduceMax.reduce_f32().expect("x86 has one");
    let exp_and_sum = Func::Softmax2.map_reduce_f32().expect("x86 has one");
    let scale = Func::MulByScalar.ew_f32_param().expect("x86 has one");
    Box::new(move |x, y| {
        y.copy_from_slice(x);
        let max = max.run(y).expect("f32");
        let sum = exp_and_sum.run_with_params(y, max).expect("f32");
        scale.run_with_params(y, 1.0 / sum).expect("f32");
    })
}
