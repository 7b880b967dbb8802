//! TFLite's two ways to resize NHWC pictures, as `tflite-ops` gives them.

/// How pixels lie on each other.
#[derive(Clone, Copy, Debug)]
pub struct Align {
    /// The first and last pixels do.
    pub corners: bool,
    /// Centres do.
    pub half_pixel_centers: bool,
}

/// The input's pixel that is nearest to pixel `i` of the output, in f32.
#[must_use]
pub fn nearest(i: usize, input: usize, output: usize, align: Align) -> usize {
    let scale = if align.corners && output > 1 {
        (input - 1) as f32 / (output - 1) as f32
    } else {
        input as f32 / output as f32
    };
    let position = (i as f32 + if align.half_pixel_centers { 0.5 } else { 0.0 }) * scale;
    let index = if align.corners { position.round() } else { position.floor() };
    (index as usize).min(input - 1)
}

/// The nearest pixels.
#[must_use]
pub fn resize_nearest<T: Copy>(x: &[T], shape: [usize; 4], size: [usize; 2], align: Align) -> Vec<T> {
    let [n, h, w, c] = shape;
    super::moves::build(&[n, size[0], size[1], c], |index| {
        let row = nearest(index[1], h, size[0], align);
        let col = nearest(index[2], w, size[1], align);
        super::moves::at(x, &shape, &[index[0], row, col, index[3]])
    })
}

/// Both neighbours, and the weights of them in units of 1/1024.
fn neighbours(i: usize, input: usize, output: usize, align: Align) -> [(usize, i64); 2] {
    let (input, output) = (input as i64, output as i64);
    let scale = if align.corners && output > 1 {
        (1024 * (input - 1) + (output - 1) / 2) / (output - 1)
    } else {
        (1024 * input + output / 2) / output
    };
    let mut p = i as i64 * scale;
    if align.half_pixel_centers {
        p += scale / 2 - 512;
    }
    // Where the rounded scale leads out of the picture TFLite's reads what is behind it; here the edge goes on.
    let low = (p / 1024).max(0).min(input - 1);
    let high = ((p + 1023) / 1024).min(input - 1);
    [(low as usize, 1024 - (p - 1024 * low)), (high as usize, p - 1024 * low)]
}

/// Weighted means of four pixels.
#[must_use]
pub fn resize_bilinear(x: &[i64], shape: [usize; 4], size: [usize; 2], align: Align) -> Vec<i64> {
    let [n, h, w, c] = shape;
    super::moves::build(&[n, size[0], size[1], c], |index| {
        let mut sum = 0;
        for (row, of_row) in neighbours(index[1], h, size[0], align) {
            for (col, of_col) in neighbours(index[2], w, size[1], align) {
                sum += super::moves::at(x, &shape, &[index[0], row, col, index[3]]) * of_row * of_col;
            }
        }
        let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
        (sum + half) / (1 << 20)
    })
}
