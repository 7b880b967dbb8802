//! Products of rows of integers with stored weights, at any width that the weights can be read at.
//!
//! ```text
//! y[r][o] = clamp(offset + requantize(bias[o] + Σ_i x[r][i] (w[o][i] + filter_offset)))
//! ```
//! `w` is what a width makes of the stored code, on the scale of the 8-bit code ([`masked`]); plain 4-bit weights stand for
//! themselves. How weights lie in memory is a [`Layout`]: every backend reads each of them, the one of its own fast.

use crate::fixedpoint::{Multiplier, Rounding, requantize, requantize_s64};

/// Outputs that are worked on at a time.
pub(crate) const CHUNK: usize = 64;

/// What is stored for a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Format {
    /// 8 bits, read as they are.
    S8,
    /// 4 bits, read as they are.
    S4,
    /// 8 bits, read at any width.
    Raw8,
    /// 8 bits as two planes of nibbles, read at any width; 4 bits are the first plane.
    Nest84,
}

impl Format {
    /// Whether one plane holds nibbles and not bytes.
    #[inline(always)]
    pub(crate) const fn is_nibbles(self) -> bool {
        matches!(self, Self::S4 | Self::Nest84)
    }
}

/// In which order weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// `[output][input]`, nibbles with the even index low and without padding: TFLite's.
    Rows,
    /// Four outputs and two inputs share words, as `smlad` takes them.
    Dsp,
    /// Sixteen inputs at a time, of which four outputs take turns; of nibbles eight.
    Helium,
    /// Sixteen outputs side by side, four inputs each: the byte dot products of x86.
    Wide,
}

impl Layout {
    /// The one that reads fastest what [`Auto`](super::Auto) runs in this build; with feature `std` on x86 `Wide`, whatever the
    /// machine turns out to have.
    pub const BEST: Self = if cfg!(scrimp_layout = "Helium") {
        Self::Helium
    } else if cfg!(scrimp_layout = "Dsp") {
        Self::Dsp
    } else if cfg!(scrimp_layout = "Wide") {
        Self::Wide
    } else {
        Self::Rows
    };

    /// Outputs of a group.
    pub(crate) const fn group(self) -> usize {
        match self {
            Self::Rows => 1,
            Self::Dsp => 4,
            Self::Helium => 8,
            Self::Wide => 16,
        }
    }

    /// What the number of inputs is rounded up to.
    pub(crate) const fn padding(self) -> usize {
        match self {
            Self::Rows => 1,
            Self::Dsp | Self::Helium => 16,
            Self::Wide => 8,
        }
    }

    /// Words of one plane; `None` if they are too many to count.
    pub(crate) const fn words(self, format: Format, outputs: usize, depth: usize) -> Option<usize> {
        let (Some(outputs), Some(depth)) =
            (outputs.checked_next_multiple_of(self.group()), depth.checked_next_multiple_of(self.padding()))
        else {
            return None;
        };
        match outputs.checked_mul(depth) {
            Some(codes) => Some(codes.div_ceil(if format.is_nibbles() { 8 } else { 4 })),
            None => None,
        }
    }

    /// Where a code stands: the word, the bits it is shifted by, and what it is xored with.
    #[inline(always)]
    pub(crate) const fn place(self, format: Format, low: bool, depth: usize, o: usize, i: usize) -> Place {
        let depth = depth.next_multiple_of(self.padding());
        let group = o / self.group();
        let r = o % self.group();
        let nibbles = format.is_nibbles();
        match self {
            Self::Rows => Place { word: 0, shift: 0, xor: 0 },
            Self::Dsp => {
                // Inputs 4b and 4b + 2 share a word, and 4b + 1 and 4b + 3, as `sxtb16` widens them.
                let pair = i / 4 * 2 + i % 2;
                let half = i % 4 / 2 * 16;
                if nibbles {
                    let xor = if low || r == 3 { 0 } else { 8 };
                    Place { word: group * (depth / 2) + pair, shift: half + 4 * r, xor }
                } else {
                    let xor = if r.is_multiple_of(2) && matches!(format, Format::S8) { 0x80 } else { 0 };
                    Place { word: group * depth + pair * 2 + r / 2, shift: half + 8 * (r % 2), xor }
                }
            }
            Self::Helium => {
                let block = group * (depth / 16) + i / 16;
                if nibbles {
                    let byte = (block * 4 + r % 4) * 16 + i % 16;
                    let is_second = r >= 4;
                    let xor = if is_second && matches!(format, Format::S4) { 8 } else { 0 };
                    Place { word: byte / 4, shift: byte % 4 * 8 + if is_second { 0 } else { 4 }, xor }
                } else {
                    // Four outputs stand behind the other four.
                    let byte = (((group * 2 + r / 4) * (depth / 16) + i / 16) * 4 + r % 4) * 16 + i % 16;
                    Place { word: byte / 4, shift: byte % 4 * 8, xor: 0 }
                }
            }
            Self::Wide => {
                if nibbles {
                    let word = (group * (depth / 8) + i / 8) * 16 + r;
                    Place { word, shift: i % 4 * 8 + i % 8 / 4 * 4, xor: if low { 0 } else { 8 } }
                } else {
                    Place { word: (group * (depth / 4) + i / 4) * 16 + r, shift: i % 4 * 8, xor: 0x80 }
                }
            }
        }
    }
}

/// Where a code stands in packed words.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) word: usize,
    pub(crate) shift: usize,
    pub(crate) xor: u8,
}

/// The weight that a width with `drop` bits less than 8 makes of a code: half up, saturated, on the code's own scale.
#[inline(always)]
#[must_use]
pub(crate) const fn masked(code: i8, drop: u32) -> i8 {
    let half = 1u8.wrapping_shl(drop) >> 1;
    code.saturating_add(half as i8) & !(1u8.wrapping_shl(drop).wrapping_sub(1)) as i8
}

/// Where the codes are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data<'a> {
    /// `[output][input]`.
    Bytes(&'a [i8]),
    /// 4-bit weights, `[output][input]`.
    Nibbles(&'a [u8]),
    /// Upper and lower nibbles of `code + 8`, `[output][input]`; the second may be empty.
    Planes(&'a [u8], &'a [u8]),
    /// As `Layout` says; the second slice is the lower plane.
    Packed(Format, Layout, &'a [u32], &'a [u32]),
    /// The lower plane of `Planes` alone, each nibble less 8.
    Residuals(&'a [u8]),
    /// The lower plane of `Packed` alone, each nibble less 8.
    PackedResiduals(Layout, &'a [u32]),
}

/// Stored weights, and the width they are read at.
///
/// Having one tells you that the data is as long as the shape asks for (a lower plane may be empty), and that neither
/// side of the shape is zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes<'a> {
    data: Data<'a>,
    outputs: usize,
    depth: usize,
    /// Bits below 8; 0 for plain 4-bit weights.
    drop: u32,
}

impl<'a> Codes<'a> {
    /// All bits of the data; `None` if it is not of the shape.
    pub(crate) const fn new(data: Data<'a>, outputs: usize, depth: usize) -> Option<Self> {
        if outputs == 0 || depth == 0 {
            return None;
        }
        let Some(codes) = outputs.checked_mul(depth) else { return None };
        let fits = match data {
            Data::Bytes(bytes) => bytes.len() == codes,
            Data::Nibbles(bytes) | Data::Residuals(bytes) => bytes.len() == codes.div_ceil(2),
            Data::Planes(high, low) => high.len() == codes.div_ceil(2) && (low.is_empty() || low.len() == high.len()),
            Data::Packed(format, layout, words, low) => match layout.words(format, outputs, depth) {
                Some(want) => words.len() == want && (low.is_empty() || low.len() == want),
                None => false,
            },
            Data::PackedResiduals(layout, words) => match layout.words(Format::Nest84, outputs, depth) {
                Some(want) => words.len() == want,
                None => false,
            },
        };
        if fits { Some(Self { data, outputs, depth, drop: 0 }) } else { None }
    }

    /// Without the lowest `drop` bits, 0 to 6.
    #[inline(always)]
    pub(crate) const fn at(self, drop: u32) -> Self {
        Self { drop, ..self }
    }

    #[inline(always)]
    pub(crate) const fn data(&self) -> Data<'a> {
        self.data
    }

    #[inline(always)]
    pub(crate) const fn outputs(&self) -> usize {
        self.outputs
    }

    #[inline(always)]
    pub(crate) const fn depth(&self) -> usize {
        self.depth
    }

    #[inline(always)]
    pub(crate) const fn dropped(&self) -> u32 {
        self.drop
    }

    /// One weight as kernels weigh it; 0 outside the shape.
    #[inline(always)]
    pub(crate) const fn get(&self, o: usize, i: usize) -> i8 {
        if o >= self.outputs || i >= self.depth {
            return 0;
        }
        match self.data {
            Data::Bytes(bytes) => {
                let at = o.wrapping_mul(self.depth).wrapping_add(i);
                masked(if at < bytes.len() { bytes[at] } else { 0 }, self.drop)
            }
            Data::Nibbles(bytes) => signed(nibble(bytes, o.wrapping_mul(self.depth).wrapping_add(i))),
            Data::Planes(high, low) => {
                let at = o.wrapping_mul(self.depth).wrapping_add(i);
                self.of_planes(nibble(high, at), nibble(low, at))
            }
            // The highest bit turned over makes two's complement of a nibble less 8.
            Data::Residuals(low) => signed(nibble(low, o.wrapping_mul(self.depth).wrapping_add(i)) ^ 8),
            Data::PackedResiduals(layout, low) => {
                signed(packed(low, layout.place(Format::Nest84, true, self.depth, o, i), true) ^ 8)
            }
            Data::Packed(format, layout, words, low) => {
                let high = packed(words, layout.place(format, false, self.depth, o, i), format.is_nibbles());
                match format {
                    Format::S8 => high as i8,
                    Format::Raw8 => masked(high as i8, self.drop),
                    Format::S4 => signed(high),
                    Format::Nest84 => {
                        let low = packed(low, layout.place(format, true, self.depth, o, i), true);
                        self.of_planes(high, low)
                    }
                }
            }
        }
    }

    /// The rows of outputs `first` to `first + n`; `None` unless they are there and bytes, row by row.
    #[inline(always)]
    pub(crate) fn part(&self, first: usize, n: usize) -> Option<Self> {
        let Data::Bytes(bytes) = self.data else { return None };
        let start = first.checked_mul(self.depth)?;
        let bytes = bytes.get(start..start.checked_add(n.checked_mul(self.depth)?)?)?;
        if n == 0 { None } else { Some(Self { data: Data::Bytes(bytes), outputs: n, ..*self }) }
    }

    /// Whether a weight is above `most`.
    pub(crate) const fn has_more_than(&self, most: i8) -> bool {
        let mut o = 0;
        while o < self.outputs {
            let mut i = 0;
            while i < self.depth {
                if self.get(o, i) > most {
                    return true;
                }
                i += 1;
            }
            o += 1;
        }
        false
    }

    /// A weight of both planes' nibbles.
    #[inline(always)]
    pub(crate) const fn of_planes(&self, high: u8, low: u8) -> i8 {
        if self.drop == 4 { (high << 4) as i8 } else { masked(((high << 4) | low).wrapping_sub(8) as i8, self.drop) }
    }
}

/// Nibble `at` of a row of them, even ones low.
#[inline(always)]
pub(crate) const fn nibble(bytes: &[u8], at: usize) -> u8 {
    let byte = if at / 2 < bytes.len() { bytes[at / 2] } else { 0 };
    (byte >> (at % 2 * 4)) & 15
}

/// A nibble in two's complement.
#[inline(always)]
pub(crate) const fn signed(nibble: u8) -> i8 {
    (nibble << 4) as i8 >> 4
}

#[inline(always)]
const fn packed(words: &[u32], place: Place, nibble: bool) -> u8 {
    let word = if place.word < words.len() { words[place.word] } else { 0 };
    let bits = word.wrapping_shr(place.shift as u32) as u8 ^ place.xor;
    if nibble { bits & 15 } else { bits }
}

/// What becomes of the sums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputsS8<'a> {
    /// Added to the sum of each output.
    pub(crate) bias: &'a [i32],
    /// Mantissa of each output's multiplier.
    pub(crate) mantissa: &'a [i32],
    /// Shift of each output's multiplier, positive to the left.
    pub(crate) shift: &'a [i8],
    pub(crate) offset: i32,
    pub(crate) min: i8,
    pub(crate) max: i8,
    pub(crate) rounding: Rounding,
    /// Whether every shift is -22 to -1, and no sum with its bias reaches 2^30, both roundings are asked for, and the
    /// offset is -255 to 255.
    pub(crate) is_plain: bool,
}

impl OutputsS8<'_> {
    /// The output `o` of a sum without its bias.
    #[inline(always)]
    pub(crate) fn of(&self, o: usize, sum: i32) -> i8 {
        let bias = self.bias.get(o).copied().unwrap_or(0);
        let mantissa = self.mantissa.get(o).copied().unwrap_or(0);
        let shift = self.shift.get(o).copied().unwrap_or(0);
        self.quantize(sum.wrapping_add(bias), mantissa, shift)
    }

    #[inline(always)]
    pub(crate) fn quantize(&self, sum: i32, mantissa: i32, shift: i8) -> i8 {
        let y = if self.is_plain {
            // Both roundings where nothing saturates: the first half up, the second half away from zero.
            let high = ((i64::from(sum) * i64::from(mantissa) + (1 << 30)) >> 31) as i32;
            let right = u32::from(shift.unsigned_abs());
            let half = 1i32.wrapping_shl(right.wrapping_sub(1));
            high.wrapping_add(half).wrapping_sub(i32::from(high < 0)).wrapping_shr(right).wrapping_add(self.offset)
        } else {
            requantize(sum, Multiplier { mantissa, shift: i32::from(shift) }, self.rounding).saturating_add(self.offset)
        };
        // Not `clamp`, which can panic.
        y.min(i32::from(self.max)).max(i32::from(self.min)) as i8
    }
}

/// Each row of the activations through a layer into a row of the outputs.
pub(crate) type RunS8 = for<'a, 'b, 'c, 'd> fn(&'a LayerS8<'b>, Rows<'c, i8>, &'d mut [i8]);

/// Rows of `depth` elements, each of which begins `step` behind the one before; they may overlap.
#[inline(always)]
pub(crate) fn rows_of<T>(x: &[T], step: usize, depth: usize) -> impl Iterator<Item = &[T]> {
    x.windows(depth.max(1)).step_by(step.max(1))
}

/// A fully connected layer on 8-bit activations, checked.
///
/// Having one tells you that there is a bias, a mantissa and a shift for each output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerS8<'a> {
    codes: Codes<'a>,
    filter_offset: i32,
    outputs: OutputsS8<'a>,
    /// The loop for these weights on a device. A function here, and not a choice when it runs: a layer in flash then links
    /// its own loop, and none of the formats and widths that it does not have.
    run: RunS8,
    /// Whether its weights are packed bytes and there is one multiplier for all outputs.
    is_uniform: bool,
}

/// Whether all are the same.
const fn is_one(mantissa: &[i32], shift: &[i8]) -> bool {
    let mut o = 1;
    while o < mantissa.len() && o < shift.len() {
        if mantissa[o] != mantissa[0] || shift[o] != shift[0] {
            return false;
        }
        o += 1;
    }
    true
}

impl<'a> LayerS8<'a> {
    /// `None` if the tables have not an entry for each output.
    pub(crate) const fn new(codes: Codes<'a>, filter_offset: i32, outputs: OutputsS8<'a>) -> Option<Self> {
        let OutputsS8 { bias, mantissa, shift, .. } = outputs;
        if bias.len() == codes.outputs && mantissa.len() == codes.outputs && shift.len() == codes.outputs {
            // Not of weights that are read at several widths: a change of width costs nothing.
            let is_uniform = matches!(codes.data, Data::Packed(Format::S8, ..)) && is_one(mantissa, shift);
            Some(Self { codes, filter_offset, outputs, run: super::choose_s8(&codes, &outputs), is_uniform })
        } else {
            None
        }
    }

    /// The weights.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn codes(&self) -> &Codes<'a> {
        &self.codes
    }

    /// Runs it by the loop that was chosen for the backend of this build.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "arm"), expect(dead_code, reason = "choices are made for devices"))]
    pub(crate) fn run_chosen(&self, rows: Rows<'_, i8>, y: &mut [i8]) {
        (self.run)(self, rows, y);
    }

    #[inline(always)]
    pub(crate) const fn filter_offset(&self) -> i32 {
        self.filter_offset
    }

    /// The multiplier of all outputs, if they have one and their range is all of i8.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops"))]
    pub(crate) fn one_multiplier(&self) -> Option<(i32, i8)> {
        let OutputsS8 { mantissa: &[mantissa, ..], shift: &[shift, ..], min: i8::MIN, max: i8::MAX, .. } = self.outputs
        else {
            return None;
        };
        if self.is_uniform { Some((mantissa, shift)) } else { None }
    }

    #[inline(always)]
    pub(crate) const fn outputs(&self) -> &OutputsS8<'a> {
        &self.outputs
    }

    /// Outputs `first` to `first + n` as a layer of their own; `None` unless they are there and the weights are bytes, row by
    /// row.
    #[inline(always)]
    pub(crate) fn part(&self, first: usize, n: usize) -> Option<Self> {
        let OutputsS8 { bias, mantissa, shift, .. } = self.outputs;
        let end = first.checked_add(n)?;
        let (bias, mantissa, shift) = (bias.get(first..end)?, mantissa.get(first..end)?, shift.get(first..end)?);
        let outputs = OutputsS8 { bias, mantissa, shift, ..self.outputs };
        // The same kind of weights, of the same depth: the same loop.
        Some(Self { codes: self.codes.part(first, n)?, outputs, ..*self })
    }
}

/// What is added to sums of 16-bit activations, and how wide they are.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum BiasS16<'a> {
    /// Sums of 64 bits, a multiplier of 16.
    Wide(&'a [i64]),
    /// Sums of 32 bits that wrap around, a multiplier of 31.
    Narrow(&'a [i32]),
}

/// What becomes of the sums of a layer on 16-bit activations.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct OutputsS16<'a> {
    pub(crate) bias: BiasS16<'a>,
    pub(crate) mantissa: &'a [i32],
    pub(crate) shift: &'a [i8],
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl OutputsS16<'_> {
    /// The output `o` of an exact sum without its bias.
    #[inline(always)]
    pub(crate) fn of(&self, o: usize, sum: i64) -> i16 {
        let mantissa = self.mantissa.get(o).copied().unwrap_or(0);
        let multiplier = Multiplier { mantissa, shift: i32::from(self.shift.get(o).copied().unwrap_or(0)) };
        let y = match self.bias {
            BiasS16::Wide(bias) => requantize_s64(sum.wrapping_add(bias.get(o).copied().unwrap_or(0)), multiplier),
            BiasS16::Narrow(bias) => {
                let sum = (sum as i32).wrapping_add(bias.get(o).copied().unwrap_or(0));
                requantize(sum, multiplier, Rounding::Double)
            }
        };
        y.min(i32::from(self.max)).max(i32::from(self.min)) as i16
    }

    /// Those of outputs `first` to `first + n`.
    #[inline(always)]
    fn part(&self, first: usize, n: usize) -> Option<Self> {
        let end = first.checked_add(n)?;
        let bias = match self.bias {
            BiasS16::Wide(bias) => BiasS16::Wide(bias.get(first..end)?),
            BiasS16::Narrow(bias) => BiasS16::Narrow(bias.get(first..end)?),
        };
        Some(Self { bias, mantissa: self.mantissa.get(first..end)?, shift: self.shift.get(first..end)?, ..*self })
    }
}

/// A fully connected layer on 16-bit activations, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerS16<'a> {
    pub(crate) codes: Codes<'a>,
    pub(crate) outputs: OutputsS16<'a>,
}

impl LayerS16<'_> {
    /// As [`LayerS8::part`].
    #[inline(always)]
    pub(crate) fn part(&self, first: usize, n: usize) -> Option<Self> {
        Some(Self { codes: self.codes.part(first, n)?, outputs: self.outputs.part(first, n)? })
    }
}

/// Patches of a picture: `n` lines of `len` elements, each so many elements behind the one before; and as many patches, each so
/// many behind the one before.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Lines {
    pub(crate) from_step: usize,
    pub(crate) to_step: usize,
    pub(crate) len: usize,
    pub(crate) n: usize,
    pub(crate) patches: usize,
    pub(crate) from_patch: usize,
    pub(crate) to_patch: usize,
}

impl Lines {
    /// Copies as many as are there.
    #[inline(always)]
    pub(crate) fn copy<T: Copy>(self, from: &[T], to: &mut [T]) {
        for patch in 0..self.patches {
            let (mut at, mut to_at) = (patch * self.from_patch, patch * self.to_patch);
            for _ in 0..self.n {
                let line = from.get(at..).and_then(|from| from.get(..self.len));
                let into = to.get_mut(to_at..).and_then(|to| to.get_mut(..self.len));
                let (Some(line), Some(into)) = (line, into) else { return };
                for (to, &from) in into.iter_mut().zip(line) {
                    *to = from;
                }
                at += self.from_step;
                to_at += self.to_step;
            }
        }
    }

    /// Whether there is one, and all of them are there.
    #[cfg_attr(not(target_arch = "arm"), expect(dead_code, reason = "for loops in assembly"))]
    #[inline(always)]
    pub(crate) fn fit(self, from: usize, to: usize) -> bool {
        let Self { from_step, to_step, len, n, patches, from_patch, to_patch } = self;
        if n == 0 || len == 0 || patches == 0 {
            return false;
        }
        // No overflow: pictures are that large.
        let end = |step: usize, patch: usize| {
            (n - 1).saturating_mul(step).saturating_add((patches - 1).saturating_mul(patch)).saturating_add(len)
        };
        end(from_step, from_patch) <= from && end(to_step, to_patch) <= to
    }
}

/// Rows of activations.
pub(crate) struct Rows<'a, T> {
    pub(crate) x: &'a [T],
    /// From the beginning of a row in `x` to that of the next; rows may overlap.
    pub(crate) step: usize,
    /// What rows are made of that do not lie in one piece: patches of a picture.
    pub(crate) gather: Option<(Lines, &'a mut [T])>,
}

impl<'a, T: Copy> Rows<'a, T> {
    /// Rows that lie in one piece.
    #[inline(always)]
    pub(crate) const fn of(x: &'a [T], step: usize) -> Self {
        Self { x, step, gather: None }
    }

    /// Patches, which are put together in the scratch, which is as long as some of them. `lines` are those of one patch.
    #[inline(always)]
    pub(crate) const fn gathered(x: &'a [T], step: usize, lines: Lines, scratch: &'a mut [T]) -> Self {
        Self { x, step, gather: Some((lines, scratch)) }
    }

    /// Calls `run` with rows that lie in one piece, as many at a time as there are, their step, and their outputs.
    #[inline(always)]
    pub(crate) fn each(
        self,
        (depth, outputs): (usize, usize),
        y: &mut [T],
        copy: impl Fn(Lines, &[T], &mut [T]),
        mut run: impl FnMut(&[T], usize, &mut [T]),
    ) {
        let Self { x, step, gather } = self;
        let Some((lines, scratch)) = gather else { return run(x, step, y) };
        let (depth, outputs) = (depth.max(1), outputs.max(1));
        let mut x = x;
        for y in y.chunks_mut(((scratch.len() / depth).max(1) * outputs).max(1)) {
            let patches = y.len() / outputs;
            copy(Lines { patches, from_patch: step, to_patch: depth, ..lines }, x, scratch);
            run(scratch.get(..patches * depth).unwrap_or(&[]), depth, y);
            x = x.get(patches.saturating_mul(step)..).unwrap_or(&[]);
        }
    }
}

/// A product of a row that is requantized by one multiplier, and stays of 32 bits.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "arm"), allow(dead_code, reason = "only devices have loops"))]
pub(crate) struct Folded<'a> {
    pub(crate) codes: Codes<'a>,
    /// One for each output.
    pub(crate) bias: &'a [i32],
    pub(crate) multiplier: Multiplier,
    /// Whether the mantissa is positive, the shift -22 or more, and no sum with its bias, shifted to the left, reaches 2^30.
    pub(crate) is_plain: bool,
}

/// What a backend can speed up in products with stored weights. Every backend gives the same bytes.
pub(crate) trait DotRows: Copy {
    /// Each of the rows through the layer into a row of `y`.
    #[inline(always)]
    fn linear_s8(self, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        linear_s8(layer, rows, y);
    }

    /// `sums[r][o] += Σ_i x[r][i] w[o][i]`.
    #[inline(always)]
    fn add_sums_s8(self, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
        add_sums_s8(codes, x, sums);
    }

    /// `y[o] = m (bias[o] + Σ_i x[i] w[o][i])`, both roundings.
    #[inline(always)]
    fn folded_s8(self, of: &Folded<'_>, x: &[i8], y: &mut [i32]) {
        folded_s8_by(
            #[inline(always)]
            |codes, x, y| self.add_sums_s8(codes, x, y),
            of,
            x,
            y,
        );
    }

    /// Copies lines of a picture.
    #[inline(always)]
    fn copy_lines_s8(self, lines: Lines, from: &[i8], to: &mut [i8]) {
        lines.copy(from, to);
    }

    /// As [`DotRows::linear_s8`].
    #[inline(always)]
    fn linear_s16(self, layer: &LayerS16<'_>, rows: Rows<'_, i16>, y: &mut [i16]) {
        let codes = layer.codes;
        rows.each((codes.depth, codes.outputs), y, Lines::copy, |x, step, y| {
            for (x, y) in rows_of(x, step, codes.depth).zip(y.chunks_exact_mut(codes.outputs.max(1))) {
                for (o, y) in y.iter_mut().enumerate() {
                    *y = layer.outputs.of(o, row_sum_s16(&codes, x, o));
                }
            }
        });
    }
}

/// What runs a layer where nothing is faster than plain Rust.
pub(crate) const fn choose_portable_s8(codes: &Codes<'_>) -> RunS8 {
    fn run_bytes(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        linear_s8_by(byte_row_sums, layer, rows, y);
    }
    fn run_any(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
        linear_s8(layer, rows, y);
    }
    match codes.data {
        Data::Bytes(_) if codes.drop == 0 => run_bytes,
        _ => run_any,
    }
}

/// What [`row_sums`] is.
pub(crate) trait RowSums: Fn(&Codes<'_>, &[i8], usize, usize, &mut [i32]) {}

impl<F: Fn(&Codes<'_>, &[i8], usize, usize, &mut [i32])> RowSums for F {}

/// [`DotRows::linear_s8`] in plain Rust.
#[inline(always)]
pub(crate) fn linear_s8(layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
    linear_s8_by(row_sums, layer, rows, y);
}

/// The same with other loops for [`row_sums`].
#[inline(always)]
pub(crate) fn linear_s8_by(row_sums: impl RowSums, layer: &LayerS8<'_>, rows: Rows<'_, i8>, y: &mut [i8]) {
    let shape = (layer.codes.depth, layer.codes.outputs);
    rows.each(
        shape,
        y,
        Lines::copy,
        #[inline(always)]
        |x, step, y| some_rows_by(&row_sums, layer, x, step, y),
    );
}

#[inline(always)]
fn some_rows_by(row_sums: &impl RowSums, layer: &LayerS8<'_>, x: &[i8], step: usize, y: &mut [i8]) {
    let LayerS8 { codes, filter_offset, outputs, .. } = *layer;
    for (x, y) in rows_of(x, step, codes.depth).zip(y.chunks_exact_mut(codes.outputs.max(1))) {
        let row = row_term(x, filter_offset);
        let mut first = 0;
        for y in y.chunks_mut(CHUNK) {
            let mut sums = [0; CHUNK];
            row_sums(&codes, x, first, y.len(), &mut sums);
            for ((o, y), &sum) in (first..).zip(y).zip(&sums) {
                *y = outputs.of(o, sum.wrapping_add(row));
            }
            first += CHUNK;
        }
    }
}

/// [`DotRows::add_sums_s8`] in plain Rust.
#[inline(always)]
pub(crate) fn add_sums_s8(codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    add_sums_s8_by(row_sums, codes, x, sums);
}

/// [`DotRows::folded_s8`] by a function that adds sums.
#[inline(always)]
pub(crate) fn folded_s8_by(add: impl Fn(&Codes<'_>, &[i8], &mut [i32]), of: &Folded<'_>, x: &[i8], y: &mut [i32]) {
    for (y, &bias) in y.iter_mut().zip(of.bias) {
        *y = bias;
    }
    add(&of.codes, x, y);
    for y in y {
        *y = requantize(*y, of.multiplier, Rounding::Double);
    }
}

/// The same with other loops for [`row_sums`].
#[inline(always)]
pub(crate) fn add_sums_s8_by(row_sums: impl RowSums, codes: &Codes<'_>, x: &[i8], sums: &mut [i32]) {
    for (x, sums) in x.chunks_exact(codes.depth.max(1)).zip(sums.chunks_exact_mut(codes.outputs.max(1))) {
        let mut first = 0;
        for sums in sums.chunks_mut(CHUNK) {
            row_sums(codes, x, first, sums.len(), sums);
            first += CHUNK;
        }
    }
}

/// What a row of activations adds to each of its sums because of the weights' zero point.
#[inline(always)]
pub(crate) fn row_term(x: &[i8], filter_offset: i32) -> i32 {
    if filter_offset == 0 {
        return 0;
    }
    x.iter().map(|&x| i32::from(x)).sum::<i32>().wrapping_mul(filter_offset)
}

/// `sums[j] += Σ_i x[i] w[first + j][i]` for `n` outputs.
#[inline(always)]
pub(crate) fn row_sums(codes: &Codes<'_>, x: &[i8], first: usize, n: usize, sums: &mut [i32]) {
    let sums = sums.get_mut(..n).unwrap_or(&mut []);
    let depth = codes.depth;
    let start = first.wrapping_mul(depth);
    match codes.data {
        Data::Bytes(bytes) => {
            let bytes = bytes.get(start..).unwrap_or(&[]);
            if codes.drop == 0 {
                byte_rows(
                    bytes,
                    x,
                    sums,
                    #[inline(always)]
                    |w| w,
                );
            } else {
                let drop = codes.drop;
                byte_rows(
                    bytes,
                    x,
                    sums,
                    #[inline(always)]
                    |w| masked(w, drop),
                );
            }
        }
        Data::Nibbles(bytes) if depth.is_multiple_of(2) => {
            nibble_rows(
                bytes.get(start / 2..).unwrap_or(&[]),
                x,
                sums,
                0,
                #[inline(always)]
                |w| w,
            );
        }
        Data::Residuals(low) if depth.is_multiple_of(2) => {
            nibble_rows(
                low.get(start / 2..).unwrap_or(&[]),
                x,
                sums,
                0,
                #[inline(always)]
                |w| w ^ 0x88,
            );
        }
        Data::Planes(high, _) if depth.is_multiple_of(2) && codes.drop == 4 => {
            nibble_rows(
                high.get(start / 2..).unwrap_or(&[]),
                x,
                sums,
                4,
                #[inline(always)]
                |w| w,
            );
        }
        Data::Planes(high, low) if depth.is_multiple_of(2) => {
            let planes = (high.get(start / 2..).unwrap_or(&[]), low.get(start / 2..).unwrap_or(&[]));
            plane_rows(codes, planes, x, sums);
        }
        _ => {
            for (o, sum) in (first..).zip(sums) {
                for (i, &x) in x.iter().enumerate() {
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(codes.get(o, i)));
                }
            }
        }
    }
}

/// [`row_sums`] of bytes that are read as they are.
#[inline(always)]
pub(crate) fn byte_row_sums(codes: &Codes<'_>, x: &[i8], first: usize, n: usize, sums: &mut [i32]) {
    let sums = sums.get_mut(..n).unwrap_or(&mut []);
    let Data::Bytes(bytes) = codes.data else { return };
    let bytes = bytes.get(first.wrapping_mul(codes.depth)..).unwrap_or(&[]);
    byte_rows(
        bytes,
        x,
        sums,
        #[inline(always)]
        |w| w,
    );
}

/// Four rows at a time share the loads of `x`.
#[inline(always)]
fn byte_rows(w: &[i8], x: &[i8], sums: &mut [i32], of: impl Fn(i8) -> i8) {
    let depth = x.len().max(1);
    let mut rows = w.chunks_exact(depth);
    let (fours, rest) = sums.as_chunks_mut::<4>();
    for four in fours {
        let (Some(w0), Some(w1), Some(w2), Some(w3)) = (rows.next(), rows.next(), rows.next(), rows.next()) else {
            return;
        };
        let [mut s0, mut s1, mut s2, mut s3] = *four;
        for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
            let x = i32::from(x);
            s0 = s0.wrapping_add(x * i32::from(of(w0)));
            s1 = s1.wrapping_add(x * i32::from(of(w1)));
            s2 = s2.wrapping_add(x * i32::from(of(w2)));
            s3 = s3.wrapping_add(x * i32::from(of(w3)));
        }
        *four = [s0, s1, s2, s3];
    }
    for (sum, w) in rest.iter_mut().zip(rows) {
        for (&x, &w) in x.iter().zip(w) {
            *sum = sum.wrapping_add(i32::from(x) * i32::from(of(w)));
        }
    }
}

/// Rows of 4-bit weights, an even number of them in each; the sums are shifted left.
#[inline(always)]
fn nibble_rows(w: &[u8], x: &[i8], sums: &mut [i32], shift: u32, of: impl Fn(u8) -> u8) {
    let bytes = (x.len() / 2).max(1);
    let mut rows = w.chunks_exact(bytes);
    let (pairs, _) = x.as_chunks::<2>();
    let (fours, rest) = sums.as_chunks_mut::<4>();
    for four in fours {
        let (Some(w0), Some(w1), Some(w2), Some(w3)) = (rows.next(), rows.next(), rows.next(), rows.next()) else {
            return;
        };
        let (mut s0, mut s1, mut s2, mut s3) = (0i32, 0i32, 0i32, 0i32);
        for ((((&pair, &w0), &w1), &w2), &w3) in pairs.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
            let [x0, x1] = apart(pair);
            s0 = two(s0, x0, x1, of(w0));
            s1 = two(s1, x0, x1, of(w1));
            s2 = two(s2, x0, x1, of(w2));
            s3 = two(s3, x0, x1, of(w3));
        }
        for (sum, s) in four.iter_mut().zip([s0, s1, s2, s3]) {
            *sum = sum.wrapping_add(s.wrapping_shl(shift));
        }
    }
    for (sum, w) in rest.iter_mut().zip(rows) {
        let mut s = 0;
        for (&pair, &w) in pairs.iter().zip(w) {
            let [x0, x1] = apart(pair);
            s = two(s, x0, x1, of(w));
        }
        *sum = sum.wrapping_add(s.wrapping_shl(shift));
    }
}

/// Both activations of a pair, loaded as one halfword. Loaded one by one, LLVM makes `VLD2` of them on Helium, which a Cortex-M55
/// takes at aligned words only.
#[inline(always)]
fn apart(pair: [i8; 2]) -> [i8; 2] {
    let both = i16::from_le_bytes(pair.map(i8::cast_unsigned));
    [both as i8, (both >> 8) as i8]
}

/// The products with both nibbles of a byte.
#[inline(always)]
fn two(sum: i32, x0: i8, x1: i8, w: u8) -> i32 {
    let (low, high) = (i32::from(signed(w)), i32::from(w as i8 >> 4));
    sum.wrapping_add(i32::from(x0) * low).wrapping_add(i32::from(x1) * high)
}

/// Rows of two planes, an even number of weights in each.
#[inline(always)]
fn plane_rows(codes: &Codes<'_>, (high, low): (&[u8], &[u8]), x: &[i8], sums: &mut [i32]) {
    let (pairs, _) = x.as_chunks::<2>();
    // Not two zipped `chunks_exact`, whose division LLVM does not always see to be by more than 0.
    let (mut highs, mut lows) = (high, low);
    for sum in sums {
        let (Some((high, next_high)), Some((low, next_low))) =
            (highs.split_at_checked(pairs.len()), lows.split_at_checked(pairs.len()))
        else {
            return;
        };
        (highs, lows) = (next_high, next_low);
        for ((&pair, &high), &low) in pairs.iter().zip(high).zip(low) {
            let [x0, x1] = apart(pair);
            let (even, odd) = (codes.of_planes(high & 15, low & 15), codes.of_planes(high >> 4, low >> 4));
            *sum = sum.wrapping_add(i32::from(x0) * i32::from(even)).wrapping_add(i32::from(x1) * i32::from(odd));
        }
    }
}

/// `Σ_i x[i] w[o][i]`, exact: 256 products fit 32 bits.
#[inline(always)]
fn row_sum_s16(codes: &Codes<'_>, x: &[i16], o: usize) -> i64 {
    const BLOCK: usize = 256;
    let start = o.wrapping_mul(codes.depth);
    let mut sum = 0i64;
    if let (Data::Bytes(bytes), 0) = (codes.data, codes.drop) {
        let w = bytes.get(start..).unwrap_or(&[]);
        for (x, w) in x.chunks(BLOCK).zip(w.chunks(BLOCK)) {
            sum += i64::from(x.iter().zip(w).map(|(&x, &w)| i32::from(x) * i32::from(w)).sum::<i32>());
        }
    } else {
        let mut first = 0;
        for x in x.chunks(BLOCK) {
            let products = (first..).zip(x).map(|(i, &x)| i32::from(x) * i32::from(codes.get(o, i)));
            sum += i64::from(products.sum::<i32>());
            first += BLOCK;
        }
    }
    sum
}
