//! Stored weights in the layout of x86, as the loops of AVX2 and AVX-512 read them.

use super::dot_rows::{Codes, Data, Format, LayerS8, Layout};

/// Weights of 8 bits.
pub(super) const BYTES: u8 = 0;
/// Weights of 8 bits, rounded on the way.
pub(super) const ROUNDED: u8 = 1;
/// Nibbles that stand for themselves.
pub(super) const NIBBLES: u8 = 2;
/// Nibbles on the scale of 8 bits.
pub(super) const HIGH: u8 = 3;
/// Both planes.
pub(super) const BOTH: u8 = 4;

/// Both planes, rounded on the way.
pub(super) const BOTH_ROUNDED: u8 = 5;

/// Packed weights and how to make unsigned bytes of them.
///
/// Eight inputs of sixteen outputs are 128 bytes, or 64 of nibbles: four inputs of each output, then the other four. Having one
/// tells you that all groups of the shape are there, in both planes if `kind` is [`BOTH`] or [`BOTH_ROUNDED`].
#[derive(Clone, Copy)]
pub(super) struct Wide {
    pub(super) words: *const u32,
    /// Lower plane, or the same.
    pub(super) low: *const u32,
    pub(super) kind: u8,
    /// What is added to each weight.
    pub(super) offset: i32,
    /// Half a step of the width.
    pub(super) half: i8,
    /// The width's bits.
    pub(super) mask: i8,
    pub(super) depth: usize,
    pub(super) groups: usize,
}

impl Wide {
    /// Inputs and outputs of a row.
    #[inline(always)]
    pub(super) const fn shape(&self, layer: &LayerS8<'_>) -> (usize, usize) {
        (self.depth, layer.codes().outputs())
    }

    /// `None` if the weights lie otherwise, or there is no loop for the width.
    #[inline(always)]
    pub(super) fn of(codes: &Codes<'_>) -> Option<Self> {
        let drop = codes.dropped();
        let (words, low, kind, offset): (&[u32], &[u32], _, _) = match codes.data() {
            Data::Packed(Format::S8 | Format::Raw8, Layout::Wide, words, _) => {
                (words, words, if drop == 0 { BYTES } else { ROUNDED }, 128)
            }
            Data::Packed(Format::S4, Layout::Wide, words, _) => (words, words, NIBBLES, 8),
            Data::Packed(Format::Nest84, Layout::Wide, words, _) if drop == 4 => (words, words, HIGH, 128),
            Data::Packed(Format::Nest84, Layout::Wide, words, low) if drop == 0 && !low.is_empty() => {
                (words, low, BOTH, 136)
            }
            Data::Packed(Format::Nest84, Layout::Wide, words, low) if !low.is_empty() => {
                (words, low, BOTH_ROUNDED, 128)
            }
            Data::PackedResiduals(Layout::Wide, low) => (low, low, NIBBLES, 8),
            _ => return None,
        };
        Some(Self {
            words: words.as_ptr(),
            low: low.as_ptr(),
            kind,
            offset,
            half: ((1u8 << drop) >> 1) as i8,
            mask: (0xFFu8 << drop) as i8,
            depth: codes.depth(),
            groups: codes.outputs().div_ceil(16),
        })
    }

    /// Eights of inputs, the last one perhaps padded.
    #[inline(always)]
    pub(super) const fn eights(&self) -> usize {
        self.depth.div_ceil(8)
    }

    /// Words of eight inputs of a group.
    #[inline(always)]
    pub(super) const fn words_an_eight(&self) -> usize {
        if self.kind >= NIBBLES { 16 } else { 32 }
    }
}

/// The inputs of a row behind its last eight, in two words, zeros behind them.
#[inline(always)]
pub(super) fn tail(x: &[i8]) -> [i32; 2] {
    let (_, rest) = x.as_chunks::<8>();
    let mut bytes = [0u8; 8];
    for (to, &from) in bytes.iter_mut().zip(rest) {
        *to = from as u8;
    }
    let [a, b, c, d, e, f, g, h] = bytes;
    [i32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h])]
}

/// Where the sums go.
pub(super) enum Sink<'a> {
    /// Through the rest of the layer.
    Outputs(&'a LayerS8<'a>, &'a mut [i8]),
    /// Added to these.
    Sums(&'a mut [i32]),
}

/// The sum of a row.
#[inline(always)]
pub(super) fn sum(x: &[i8]) -> i32 {
    x.iter().map(|&x| i32::from(x)).sum::<i32>()
}
