//! TFLite's operators that only move elements, index by index: a tensor is its elements, row-major, and its shape.

/// The tensor of `shape` whose element at each index is `of(index)`.
pub fn build<T>(shape: &[usize], of: impl Fn(&[usize]) -> T) -> Vec<T> {
    let elements = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let mut all = Vec::with_capacity(elements);
    for _ in 0..elements {
        all.push(of(&index));
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    all
}

/// The element at an index.
#[must_use]
pub fn at<T: Copy>(x: &[T], shape: &[usize], index: &[usize]) -> T {
    x[index.iter().zip(shape).fold(0, |place, (i, n)| place * n + i)]
}

/// `y[i] = x[begin + i * step]`.
#[must_use]
pub fn slice<T: Copy>(x: &[T], shape: &[usize], begin: &[usize], step: &[isize], count: &[usize]) -> Vec<T> {
    build(count, |index| {
        let from: Vec<usize> =
            (0..shape.len()).map(|k| (begin[k] as isize + index[k] as isize * step[k]) as usize).collect();
        at(x, shape, &from)
    })
}

/// Tensors one behind the other along an axis.
#[must_use]
pub fn concat<T: Copy>(inputs: &[(&[T], &[usize])], axis: usize) -> Vec<T> {
    let mut shape = inputs[0].1.to_vec();
    shape[axis] = inputs.iter().map(|(_, shape)| shape[axis]).sum();
    build(&shape, |index| {
        let (mut index, mut k) = (index.to_vec(), 0);
        while index[axis] >= inputs[k].1[axis] {
            index[axis] -= inputs[k].1[axis];
            k += 1;
        }
        at(inputs[k].0, inputs[k].1, &index)
    })
}

/// A tensor with `value` before and after it along each axis.
#[must_use]
pub fn pad<T: Copy>(x: &[T], shape: &[usize], around: &[[usize; 2]], value: T) -> Vec<T> {
    let padded: Vec<usize> = shape.iter().zip(around).map(|(n, [before, after])| before + n + after).collect();
    build(&padded, |index| {
        let inside: Option<Vec<usize>> =
            (0..shape.len()).map(|k| index[k].checked_sub(around[k][0]).filter(|&i| i < shape[k])).collect();
        inside.map_or(value, |inside| at(x, shape, &inside))
    })
}

/// A tensor with itself mirrored around it; `reflect` leaves out the edge element.
#[must_use]
pub fn mirror_pad<T: Copy>(x: &[T], shape: &[usize], around: &[[usize; 2]], reflect: bool) -> Vec<T> {
    let padded: Vec<usize> = shape.iter().zip(around).map(|(n, [before, after])| before + n + after).collect();
    build(&padded, |index| {
        let inside: Vec<usize> = (0..shape.len())
            .map(|k| {
                let (n, i) = (shape[k] as isize, index[k] as isize - around[k][0] as isize);
                let edge = isize::from(reflect);
                let mirrored = if i < 0 {
                    -i - 1 + edge
                } else if i < n {
                    i
                } else {
                    2 * n - 1 - edge - i
                };
                mirrored as usize
            })
            .collect();
        at(x, shape, &inside)
    })
}

/// Axis `k` of the result is axis `order[k]` of `x`.
#[must_use]
pub fn transpose<T: Copy>(x: &[T], shape: &[usize], order: &[usize]) -> Vec<T> {
    let turned: Vec<usize> = order.iter().map(|&k| shape[k]).collect();
    build(&turned, |index| {
        let mut from = vec![0; shape.len()];
        for (k, &axis) in order.iter().enumerate() {
            from[axis] = index[k];
        }
        at(x, shape, &from)
    })
}

/// A tensor repeated along each axis.
#[must_use]
pub fn tile<T: Copy>(x: &[T], shape: &[usize], times: &[usize]) -> Vec<T> {
    let tiled: Vec<usize> = shape.iter().zip(times).map(|(n, t)| n * t).collect();
    build(&tiled, |index| {
        let from: Vec<usize> = index.iter().zip(shape).map(|(i, n)| i % n).collect();
        at(x, shape, &from)
    })
}

/// Slices of an axis in the order of a list, one list for each batch.
#[must_use]
pub fn gather<T: Copy>(x: &[T], shape: &[usize], indices: &[i32], axis: usize, batch_axes: usize) -> Vec<T> {
    let batch: usize = shape[..batch_axes].iter().product();
    let outer: usize = shape[batch_axes..axis].iter().product();
    let inner: usize = shape[axis + 1..].iter().product();
    let each = indices.len() / batch;
    let x_shape = [batch, outer, shape[axis], inner];
    build(&[batch, outer, each, inner], |index| {
        let from = indices[index[0] * each + index[2]].clamp(0, shape[axis] as i32 - 1);
        at(x, &x_shape, &[index[0], index[1], from as usize, index[3]])
    })
}

/// Blocks of an NHWC picture become channels.
#[must_use]
pub fn space_to_depth<T: Copy>(x: &[T], shape: [usize; 4], block: usize) -> Vec<T> {
    let [n, h, w, c] = shape;
    build(&[n, h / block, w / block, c * block * block], |index| {
        let (tap, channel) = (index[3] / c, index[3] % c);
        at(x, &shape, &[index[0], index[1] * block + tap / block, index[2] * block + tap % block, channel])
    })
}

/// Channels of an NHWC picture become blocks.
#[must_use]
pub fn depth_to_space<T: Copy>(x: &[T], shape: [usize; 4], block: usize) -> Vec<T> {
    let [n, h, w, c] = shape;
    let channels = c / (block * block);
    build(&[n, h * block, w * block, channels], |index| {
        let tap = index[1] % block * block + index[2] % block;
        at(x, &shape, &[index[0], index[1] / block, index[2] / block, tap * channels + index[3]])
    })
}

/// Blocks of a padded picture's pixels become pictures of the batch: `SPACE_TO_BATCH_ND` on NHWC.
#[must_use]
pub fn space_to_batch<T: Copy>(
    x: &[T],
    shape: [usize; 4],
    block: [usize; 2],
    around: [[usize; 2]; 2],
    value: T,
) -> Vec<T> {
    let [n, h, w, c] = shape;
    let padded = pad(x, &shape, &[[0, 0], around[0], around[1], [0, 0]], value);
    let whole = [n, h + around[0][0] + around[0][1], w + around[1][0] + around[1][1], c];
    build(&[n * block[0] * block[1], whole[1] / block[0], whole[2] / block[1], c], |index| {
        let (tap, picture) = (index[0] / n, index[0] % n);
        let row = index[1] * block[0] + tap / block[1];
        at(&padded, &whole, &[picture, row, index[2] * block[1] + tap % block[1], index[3]])
    })
}

/// The way back, with the edges cut off: `BATCH_TO_SPACE_ND` on NHWC.
#[must_use]
pub fn batch_to_space<T: Copy>(x: &[T], shape: [usize; 4], block: [usize; 2], crops: [[usize; 2]; 2]) -> Vec<T> {
    let n = shape[0] / (block[0] * block[1]);
    let [rows, cols] = [0, 1].map(|k| shape[1 + k] * block[k] - crops[k][0] - crops[k][1]);
    build(&[n, rows, cols, shape[3]], |index| {
        let (row, col) = (index[1] + crops[0][0], index[2] + crops[1][0]);
        let tap = row % block[0] * block[1] + col % block[1];
        at(x, &shape, &[tap * n + index[0], row / block[0], col / block[1], index[3]])
    })
}
