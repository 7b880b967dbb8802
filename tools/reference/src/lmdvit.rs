//! LMD-ViT as the paper draws it: every window of every block is computed on a copy of the map, then the pruned ones
//! are put back. No gather lists, nothing in place, nothing left out.

use std::collections::HashMap;

use scrimp::lmdvit::{CellNet, Config, Decision, Padding, Skip};
use scrimp::model::Model;

use crate::ops::{gelu, layer_norm, linear, sigmoid, softmax};

/// Which windows run.
#[derive(Clone, Debug)]
pub enum Policy {
    /// Those that the network decides on.
    Own,
    /// Every one.
    All,
    /// Those that touch one of these cells of the image.
    Cells(Vec<bool>),
}

/// What the network gives.
#[derive(Clone, Debug)]
pub struct Output {
    /// `height x width x 3`, not clamped.
    pub rgb: Vec<f64>,
    /// For each stage and block, the windows that ran, row by row.
    pub windows: Vec<Vec<Vec<bool>>>,
    /// The smallest distance of a decision from its threshold: below it, f32 may decide otherwise.
    pub margin: f64,
}

/// `height x width` positions of `channels` values.
#[derive(Clone)]
struct Map {
    height: usize,
    width: usize,
    channels: usize,
    data: Vec<f64>,
}

impl Map {
    fn new(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels, data: vec![0.0; height * width * channels] }
    }

    fn at(&self, y: usize, x: usize) -> &[f64] {
        &self.data[(y * self.width + x) * self.channels..][..self.channels]
    }

    fn at_mut(&mut self, y: usize, x: usize) -> &mut [f64] {
        &mut self.data[(y * self.width + x) * self.channels..][..self.channels]
    }

    /// A convolution; zeros outside. Weights `[k][k][in][out]`.
    fn conv(&self, weight: &[f64], bias: &[f64], kernel: usize, stride: usize, dilation: usize, pad: usize) -> Self {
        let reach = dilation * (kernel - 1) + 1;
        let side = |length: usize| (length + 2 * pad - reach) / stride + 1;
        let mut out = Self::new(side(self.height), side(self.width), bias.len());
        for y in 0..out.height {
            for x in 0..out.width {
                let mut patch = Vec::new();
                for tap in 0..kernel * kernel {
                    let iy = (y * stride + tap / kernel * dilation).wrapping_sub(pad);
                    let ix = (x * stride + tap % kernel * dilation).wrapping_sub(pad);
                    if iy < self.height && ix < self.width {
                        patch.extend(self.at(iy, ix));
                    } else {
                        patch.extend(vec![0.0; self.channels]);
                    }
                }
                out.at_mut(y, x).copy_from_slice(&linear(&patch, weight, bias));
            }
        }
        out
    }
}

/// The weights by name, in the device's layout.
struct Weights(HashMap<String, Vec<f64>>);

impl Weights {
    fn get(&self, name: String) -> &[f64] {
        &self.0[&name]
    }
}

/// Runs the network on an RGB image.
///
/// # Panics
/// If the model does not fit the configuration.
#[must_use]
pub fn run(
    model: &Model<'_>,
    config: &Config,
    (rgb, width, height): (&[u8], usize, usize),
    previous: Option<&[u8]>,
    policy: &Policy,
) -> Output {
    let tensor = |t: scrimp::model::Tensor<'_>| {
        (t.name().to_string(), t.as_f32().expect("f32").iter().map(|&v| f64::from(v)).collect())
    };
    let weights = Weights(model.tensors().map(tensor).collect());
    let net = Net { config, weights, width, height };
    net.run(rgb, previous, policy)
}

struct Net<'a> {
    config: &'a Config,
    weights: Weights,
    width: usize,
    height: usize,
}

impl Net<'_> {
    fn run(&self, rgb: &[u8], previous: Option<&[u8]>, policy: &Policy) -> Output {
        let c = self.config;
        assert!(!c.motion, "samples along the motion have their oracle in tools/train/motion.py");
        let (rows, cols) = (self.height.div_ceil(c.unit()) * c.unit(), self.width.div_ceil(c.unit()) * c.unit());
        let image = self.padded(rgb, rows, cols);
        let mut margin = f64::INFINITY;
        let cells = match (policy, &c.decision) {
            (Policy::All, _) => Some(vec![true; rows / c.cell() * (cols / c.cell())]),
            (Policy::Cells(cells), _) => Some(self.placed(cells, rows, cols)),
            (Policy::Own, Decision::Cells(nets)) => {
                let (net, name) = match previous {
                    None => (nets.single.as_ref().expect("a net for one image"), "mask"),
                    Some(_) => (nets.previous.as_ref().expect("a net for two frames"), "mask_previous"),
                };
                let before = previous.map(|p| self.padded(p, rows, cols));
                let (cells, m) = self.mask(net, name, &image, before.as_ref());
                margin = margin.min(m);
                Some(cells)
            }
            (Policy::Own, Decision::Predictors { .. }) => None,
        };

        let s = c.space_to_depth;
        let mut deep = Map::new(rows / s, cols / s, 3 * s * s);
        for y in 0..rows {
            for x in 0..cols {
                for ch in 0..3 {
                    deep.at_mut(y / s, x / s)[ch * s * s + (y % s) * s + x % s] = image.at(y, x)[ch];
                }
            }
        }
        let w = |name: &str| self.weights.get(name.to_string());
        let mut map = deep.conv(w("in_proj.weight"), w("in_proj.bias"), 3, 1, 1, 1);
        for v in &mut map.data {
            *v = if *v < 0.0 { *v * f64::from(c.in_slope) } else { *v };
        }

        let mut skips = Vec::new();
        let mut windows = Vec::new();
        for k in 0..c.stages() {
            let level = c.level(k);
            if c.is_decoder(k) {
                map = self.up(&map, level, &skips[level]);
            } else if k > 0 {
                let (kernel, pad) = (c.down_kernel, (c.down_kernel - 2) / 2);
                let name = |leaf| format!("downs.{}.{leaf}", k - 1);
                map = map.conv(self.weights.get(name("weight")), self.weights.get(name("bias")), kernel, 2, 1, pad);
            }
            windows.push(self.stage(k, &mut map, cells.as_deref(), &mut margin));
            if !c.is_decoder(k) {
                skips.push(map.clone());
            }
        }

        let out = map.conv(w("out_proj.weight"), w("out_proj.bias"), 3, 1, 1, 1);
        let nothing = windows.iter().flatten().flatten().all(|&active| !active);
        let masked = matches!(c.decision, Decision::Cells(_));
        let mut result = Vec::new();
        for y in 0..self.height {
            for x in 0..self.width {
                let cell = y / c.cell() * (cols / c.cell()) + x / c.cell();
                let pruned = nothing || (masked && !cells.as_ref().is_some_and(|cells| cells[cell]));
                let place = (y % s) * s + x % s;
                for ch in 0..3 {
                    let at = out.at(y / s, x / s);
                    let gate = if c.gate { sigmoid(at[3 * s * s + place]).max(0.1) } else { 1.0 };
                    let residual = if pruned { 0.0 } else { at[ch * s * s + place] * gate };
                    result.push(image.at(y, x)[ch] + residual);
                }
            }
        }
        Output { rgb: result, windows, margin }
    }

    /// The image from 0 to 1, its last row and column repeated.
    fn padded(&self, rgb: &[u8], rows: usize, cols: usize) -> Map {
        let mut map = Map::new(rows, cols, 3);
        for y in 0..rows {
            for x in 0..cols {
                let from = (y.min(self.height - 1) * self.width + x.min(self.width - 1)) * 3;
                for ch in 0..3 {
                    map.at_mut(y, x)[ch] = f64::from(rgb[from + ch]) / 255.0;
                }
            }
        }
        map
    }

    /// Cells of the image on the padded grid.
    fn placed(&self, cells: &[bool], rows: usize, cols: usize) -> Vec<bool> {
        let side = self.config.cell();
        let across = self.width.div_ceil(side);
        let mut all = vec![false; rows / side * (cols / side)];
        for (i, &cell) in cells.iter().enumerate() {
            all[i / across * (cols / side) + i % across] = cell;
        }
        all
    }

    fn mask(&self, net: &CellNet, name: &str, image: &Map, previous: Option<&Map>) -> (Vec<bool>, f64) {
        let mut map = image.clone();
        if let Some(previous) = previous {
            map = Map::new(image.height, image.width, 4);
            for y in 0..image.height {
                for x in 0..image.width {
                    let (now, before) = (image.at(y, x), previous.at(y, x));
                    let difference = now.iter().zip(before).map(|(a, b)| (a - b).abs()).sum::<f64>() / 3.0;
                    map.at_mut(y, x).copy_from_slice(&[now[0], now[1], now[2], difference]);
                }
            }
        }
        for (i, layer) in net.layers[..net.count].iter().enumerate() {
            let get = |leaf| self.weights.get(format!("{name}.layers.{i}.{leaf}"));
            map = map.conv(get("weight"), get("bias"), layer.kernel, layer.stride, layer.dilation, layer.pad());
            if i + 1 < net.count {
                map.data.iter_mut().for_each(|v| *v = v.max(0.0));
            }
        }
        let threshold = f64::from(net.threshold);
        let margin = map.data.iter().map(|v| (v - threshold).abs()).fold(f64::INFINITY, f64::min);
        let side = self.config.cell();
        let inside = |y: usize, x: usize| y * side < self.height && x * side < self.width;
        let mut cells: Vec<bool> = map.data.iter().map(|&v| v > threshold).collect();
        for step in 0..=net.dilate {
            let before = cells.clone();
            for y in 0..map.height {
                for x in 0..map.width {
                    let near = |v: usize, max: usize| v.saturating_sub(1)..=(v + 1).min(max - 1);
                    let grown =
                        step > 0 && near(y, map.height).any(|y| near(x, map.width).any(|x| before[y * map.width + x]));
                    cells[y * map.width + x] |= grown;
                    if step == 0 || step == net.dilate {
                        cells[y * map.width + x] &= inside(y, x);
                    }
                }
            }
        }
        (cells, margin)
    }

    /// Transposed 2x2 convolution, then the skip.
    fn up(&self, below: &Map, level: usize, skip: &Map) -> Map {
        let weight = self.weights.get(format!("ups.{level}.weight"));
        let bias = self.weights.get(format!("ups.{level}.bias"));
        let concat = self.config.skip == Skip::Concat;
        let channels = if concat { 2 * bias.len() } else { bias.len() };
        let mut out = Map::new(skip.height, skip.width, channels);
        for y in 0..out.height {
            for x in 0..out.width {
                let corner = &weight[(2 * (y % 2) + x % 2) * below.channels * bias.len()..];
                let mut value = linear(below.at(y / 2, x / 2), corner, bias);
                if concat {
                    value.extend(skip.at(y, x));
                } else {
                    value.iter_mut().zip(skip.at(y, x)).for_each(|(v, s)| *v += s);
                }
                out.at_mut(y, x).copy_from_slice(&value);
            }
        }
        out
    }

    /// The blocks of a stage; which windows ran.
    fn stage(&self, k: usize, map: &mut Map, cells: Option<&[bool]>, margin: &mut f64) -> Vec<Vec<bool>> {
        let c = self.config;
        let m = c.window;
        let (rows, cols) = (map.height / m, map.width / m);
        let mut lists: Vec<Vec<bool>> = Vec::new();
        for b in 0..c.depths[k] {
            let shift = if b % 2 == 1 { m / 2 } else { 0 };
            let position = |window: usize, token: usize| {
                let y = (window / cols * m + token / m + shift) % map.height;
                (y, (window % cols * m + token % m + shift) % map.width)
            };
            let active: Vec<bool> = match cells {
                Some(cells) => {
                    // A pixel's cell, at the top level; a window runs if any pixel of it lies in an active one.
                    let across = self.width.div_ceil(c.unit()) * c.unit() / c.cell();
                    let on = |y: usize, x: usize| {
                        let size = 1 << c.level(k);
                        let (y, x) = (y / (m / 2) * size, x / (m / 2) * size);
                        (y..y + size).any(|y| (x..x + size).any(|x| cells[y * across + x]))
                    };
                    let window = |w| {
                        (0..m * m).any(|t| {
                            let (y, x) = position(w, t);
                            on(y, x)
                        })
                    };
                    (0..rows * cols).map(window).collect()
                }
                None if b >= 2 => lists[b % 2].clone(),
                None => {
                    let logits = self.predictor(k, b, map);
                    let scale = c.space_to_depth << c.level(k);
                    let Decision::Predictors { beta } = c.decision else { unreachable!("cells were given") };
                    let threshold = f64::from(beta / (1.0 - beta)).ln();
                    let decide = |w| {
                        let places: Vec<_> = (0..m * m).map(|t| position(w, t)).collect();
                        let mean = places.iter().map(|&(y, x)| logits[y * map.width + x]).sum::<f64>() / (m * m) as f64;
                        *margin = margin.min((mean - threshold).abs());
                        let inside = |&(y, x): &(usize, usize)| y * scale < self.height && x * scale < self.width;
                        mean > threshold && places.iter().any(inside)
                    };
                    (0..rows * cols).map(decide).collect()
                }
            };
            let mut after = map.clone();
            for w in (0..rows * cols).filter(|&w| active[w]) {
                let tokens: Vec<Vec<f64>> = (0..m * m)
                    .map(|t| {
                        let (y, x) = position(w, t);
                        map.at(y, x).to_vec()
                    })
                    .collect();
                let region = |t: usize| {
                    // Past the seam of a wrapped window lies the other edge of the image.
                    let wrapped = |at: usize, last: bool| shift > 0 && last && at >= m - shift;
                    (wrapped(t / m, w / cols == rows - 1), wrapped(t % m, w % cols == cols - 1))
                };
                for (t, value) in self.block(k, b, &tokens, region).iter().enumerate() {
                    let (y, x) = position(w, t);
                    after.at_mut(y, x).copy_from_slice(value);
                }
            }
            *map = after;
            lists.push(active);
        }
        lists
    }

    /// Keep minus prune, for each position.
    fn predictor(&self, k: usize, b: usize, map: &Map) -> Vec<f64> {
        let w = |leaf: &str| self.weights.get(format!("stages.{k}.predictors.{b}.{leaf}"));
        let layer = |x: &[f64], name: &str| linear(x, w(&format!("{name}.weight")), w(&format!("{name}.bias")));
        let half = map.channels / 2;
        let hidden: Vec<Vec<f64>> = map
            .data
            .chunks(map.channels)
            .map(|x| {
                let h: Vec<f64> = layer(x, "fc1").iter().map(|&v| gelu(v)).collect();
                layer(&layer_norm(&h, w("norm.weight"), w("norm.bias")), "fc2")
            })
            .collect();
        let mean: Vec<f64> =
            (half..map.channels).map(|c| hidden.iter().map(|h| h[c]).sum::<f64>() / hidden.len() as f64).collect();
        hidden
            .iter()
            .map(|h| {
                let x: Vec<f64> = h[..half].iter().chain(&mean).copied().collect();
                let x: Vec<f64> = layer(&x, "fc3").iter().map(|&v| gelu(v)).collect();
                let x: Vec<f64> = layer(&x, "fc4").iter().map(|&v| gelu(v)).collect();
                let logits = layer(&x, "fc5");
                logits[0] - logits[1]
            })
            .collect()
    }

    /// A block on the tokens of one window.
    fn block(&self, k: usize, b: usize, z: &[Vec<f64>], region: impl Fn(usize) -> (bool, bool)) -> Vec<Vec<f64>> {
        let c = self.config;
        let w = |leaf: &str| self.weights.get(format!("stages.{k}.blocks.{b}.{leaf}"));
        let layer = |x: &[f64], name: &str| linear(x, w(&format!("{name}.weight")), w(&format!("{name}.bias")));
        let (m, channels, heads) = (c.window, c.width(k), c.heads[k]);
        let d = channels / heads;

        let mut u: Vec<Vec<f64>> = z.iter().map(|z| layer_norm(z, w("norm1.weight"), w("norm1.bias"))).collect();
        if c.modulator && c.is_decoder(k) {
            for (u, modulator) in u.iter_mut().zip(w("modulator").chunks(channels)) {
                u.iter_mut().zip(modulator).for_each(|(u, m)| *u += m);
            }
        }
        let q: Vec<Vec<f64>> = u.iter().map(|u| layer(u, "q")).collect();
        let kv: Vec<Vec<f64>> = u.iter().map(|u| layer(u, "kv")).collect();
        let table = (2 * m - 1) * (2 * m - 1);
        let mut z1 = Vec::new();
        for i in 0..m * m {
            let mut out = vec![0.0; channels];
            for h in 0..heads {
                let scores: Vec<f64> = (0..m * m)
                    .map(|j| {
                        let product: f64 = (h * d..(h + 1) * d).map(|c| q[i][c] * kv[j][c]).sum();
                        let offset = |i: usize, j: usize| j + m - 1 - i;
                        let at = offset(i / m, j / m) * (2 * m - 1) + offset(i % m, j % m);
                        let masked = if region(i) == region(j) { 0.0 } else { -100.0 };
                        product / (d as f64).sqrt() + w("position_bias")[h * table + at] + masked
                    })
                    .collect();
                for (j, p) in softmax(&scores).iter().enumerate() {
                    for c in h * d..(h + 1) * d {
                        out[c] += p * kv[j][channels + c];
                    }
                }
            }
            z1.push(z[i].iter().zip(layer(&out, "proj")).map(|(z, p)| z + p).collect::<Vec<f64>>());
        }

        let hidden: Vec<Vec<f64>> = z1
            .iter()
            .map(|z| layer(&layer_norm(z, w("norm2.weight"), w("norm2.bias")), "fc1").into_iter().map(gelu).collect())
            .collect();
        let side = m as isize;
        (0..m * m)
            .map(|i| {
                let mut sums = w("depthwise.bias").to_vec();
                for tap in 0..9 {
                    let place = |at: usize, tap: usize| {
                        let at = at as isize + tap as isize - 1;
                        match c.leff_padding {
                            Padding::Reflect if at < 0 => Some(-at as usize),
                            Padding::Reflect if at >= side => Some((2 * side - 2 - at) as usize),
                            Padding::Zero if at < 0 || at >= side => None,
                            _ => Some(at as usize),
                        }
                    };
                    let (Some(y), Some(x)) = (place(i / m, tap / 3), place(i % m, tap % 3)) else { continue };
                    for (ch, sum) in sums.iter_mut().enumerate() {
                        *sum += hidden[y * m + x][ch] * w("depthwise.weight")[tap * hidden[0].len() + ch];
                    }
                }
                let sums: Vec<f64> = sums.into_iter().map(gelu).collect();
                z1[i].iter().zip(layer(&sums, "fc2")).map(|(z, f)| z + f).collect()
            })
            .collect()
    }
}
