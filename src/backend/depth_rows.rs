//! Depthwise convolutions of 8-bit pictures: what the loops of backends share.
//!
//! A loop works on a few channels that lie side by side, for outputs whose windows lie wholly inside: there are no tests in it.
//! Where windows reach over an edge, the picture goes tile by tile into a buffer that has the edge around it ([`Tile`]).

#![cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops of their own"))]

use super::dot_rows::OutputsS8;

/// One axis of a picture, and of the window that moves along it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) output: usize,
    /// Taps.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// Places in front of the picture that the first window covers.
    pub(crate) before: usize,
}

impl Axis {
    /// Places that a window reaches over.
    #[inline(always)]
    pub(crate) const fn reach(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Places that so many outputs reach over.
    #[inline(always)]
    pub(crate) const fn reach_of(&self, outputs: usize) -> usize {
        (outputs - 1) * self.stride + self.reach()
    }

    /// So many outputs at most, not fewer than 1, that reach over `places`.
    #[inline(always)]
    const fn outputs_in(&self, places: usize) -> usize {
        let more = places.saturating_sub(self.reach()) / at_least_one(self.stride);
        if more < self.output { more + 1 } else { self.output }
    }

    /// Whether no window reaches over an edge.
    #[inline(always)]
    const fn stays_inside(&self) -> bool {
        self.before == 0 && self.reach_of(self.output) <= self.input
    }

    /// The part of `n` outputs from `out` on.
    #[inline(always)]
    fn part(&self, out: usize, n: usize) -> Part {
        let n = n.min(self.output - out);
        let (start, places) = (out * self.stride, self.reach_of(n));
        let before = self.before.saturating_sub(start).min(places);
        let at = (start + before).saturating_sub(self.before).min(self.input);
        Part { out, n, places, before, at, inside: (places - before).min(self.input - at) }
    }
}

/// What a tile has of an axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Its outputs.
    pub(crate) out: usize,
    pub(crate) n: usize,
    /// Places that it reaches over, those that lie before the picture, the first that lies inside, and how many do.
    pub(crate) places: usize,
    pub(crate) before: usize,
    pub(crate) at: usize,
    pub(crate) inside: usize,
}

impl Part {
    /// All of an axis.
    #[inline(always)]
    pub(crate) const fn whole(axis: &Axis) -> Self {
        Self { out: 0, n: axis.output, places: axis.input, before: 0, at: 0, inside: axis.input }
    }
}

/// Outputs that are worked on at a time: rows, columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile(pub(crate) [usize; 2]);

impl Tile {
    /// Tiles of a number of columns that is a multiple of `columns`, which divides the outputs of a row, and that reach over
    /// `places` at most; `None` if there are none so small.
    pub(crate) const fn new([rows, cols]: &[Axis; 2], places: usize, columns: usize) -> Option<Self> {
        let of_row = cols.reach_of(cols.output);
        let tile = if of_row.saturating_mul(rows.reach()) <= places {
            [rows.outputs_in(places / at_least_one(of_row)), cols.output]
        } else {
            let outputs = cols.outputs_in(places / at_least_one(rows.reach()));
            [1, outputs - outputs % at_least_one(columns)]
        };
        let is_small = tile[1] > 0 && rows.reach_of(tile[0]).saturating_mul(cols.reach_of(tile[1])) <= places;
        if is_small { Some(Self(tile)) } else { None }
    }

    /// All of them.
    pub(crate) fn parts(self, [rows, cols]: &[Axis; 2]) -> impl Iterator<Item = [Part; 2]> {
        let mut next = [0, 0];
        core::iter::from_fn(move || {
            let [row, col] = next;
            if row >= rows.output {
                return None;
            }
            let parts = [rows.part(row, self.0[0]), cols.part(col, self.0[1])];
            next[1] += self.0[1];
            if next[1] >= cols.output {
                next = [row + self.0[0], 0];
            }
            Some(parts)
        })
    }
}

const fn at_least_one(n: usize) -> usize {
    if n == 0 { 1 } else { n }
}

/// A depthwise convolution with an output a channel, checked.
///
/// Having one tells you that there are a weight for each tap and channel, and a bias, a mantissa and a shift for each channel; that
/// `outputs.is_plain`, or would be if shifts of 0 were; and that no size is 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DepthS8<'a> {
    weights: &'a [i8],
    outputs: OutputsS8<'a>,
    channels: usize,
    /// The code of what lies outside.
    pad: i8,
    /// Rows, columns.
    axes: [Axis; 2],
}

impl<'a> DepthS8<'a> {
    /// `None` unless all of that holds.
    pub(crate) const fn new(
        weights: &'a [i8],
        outputs: OutputsS8<'a>,
        has_plain_or_no_shifts: bool,
        pad: i8,
        axes: [Axis; 2],
    ) -> Option<Self> {
        let channels = outputs.bias.len();
        let [rows, cols] = axes;
        let sizes = [rows.input, rows.output, rows.kernel, cols.input, cols.output, cols.kernel, channels];
        let mut i = 0;
        while i < sizes.len() {
            if sizes[i] == 0 {
                return None;
            }
            i += 1;
        }
        let taps = rows.kernel.saturating_mul(cols.kernel);
        let fits = taps.saturating_mul(channels) == weights.len()
            && outputs.mantissa.len() == channels
            && outputs.shift.len() == channels;
        if fits && has_plain_or_no_shifts { Some(Self { weights, outputs, channels, pad, axes }) } else { None }
    }

    #[inline(always)]
    pub(crate) const fn weights(&self) -> &'a [i8] {
        self.weights
    }

    #[inline(always)]
    pub(crate) const fn outputs(&self) -> &OutputsS8<'a> {
        &self.outputs
    }

    #[inline(always)]
    pub(crate) const fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    pub(crate) const fn pad(&self) -> i8 {
        self.pad
    }

    /// Rows, columns.
    #[inline(always)]
    pub(crate) const fn axes(&self) -> &[Axis; 2] {
        &self.axes
    }

    #[cfg_attr(not(scrimp_has = "helium"), allow(dead_code, reason = "only Helium asks"))]
    #[inline(always)]
    pub(crate) const fn taps(&self) -> usize {
        self.axes[0].kernel * self.axes[1].kernel
    }

    /// Whether no window reaches over an edge: the picture can then be read where it is.
    #[inline(always)]
    pub(crate) const fn stays_inside(&self) -> bool {
        self.axes[0].stays_inside() && self.axes[1].stays_inside()
    }

    /// Elements of a picture that goes in, and of one that comes out.
    #[inline(always)]
    pub(crate) const fn pictures(&self) -> [usize; 2] {
        let [rows, cols] = self.axes;
        [rows.input * cols.input * self.channels, rows.output * cols.output * self.channels]
    }
}

/// What a backend can speed up in depthwise convolutions. Every backend gives the same bytes.
pub(crate) trait DepthRows: Copy {
    /// Whether there is a loop for a layer.
    #[inline(always)]
    fn has_depth_loop(self, _of: &DepthS8<'_>) -> bool {
        false
    }

    /// Runs the pictures of `x` into those of `y`, of which there are as many, through a layer that there is a loop for.
    #[inline(always)]
    fn depthwise_s8(self, _of: &DepthS8<'_>, _x: &[i8], _y: &mut [i8]) {}
}
