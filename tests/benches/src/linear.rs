//! Square layers of random weights in the layout of the backend, one row of random activations.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::bits::{Format, Layout, NEST_CAP, Weights, Width, nest_planes, pack_s4, packed_words};
use scrimp::fixedpoint::Multiplier;
use scrimp::nn::{LinearS8, QuantS8, RequantTable};

use crate::{Meter, Noise, ROWS};

/// The zero point of the input is not 0, as after most activations.
const QUANT: QuantS8 = QuantS8 { input_offset: 128, output_offset: -3, ..QuantS8::PLAIN };

pub(crate) fn s8(n: usize, meter: &mut Meter) {
    run(n, meter, Format::S8, Width::W8);
}

pub(crate) fn s4(n: usize, meter: &mut Meter) {
    run(n, meter, Format::S4, Width::W4);
}

pub(crate) fn nest8(n: usize, meter: &mut Meter) {
    run(n, meter, Format::Nest84, Width::W8);
}

pub(crate) fn nest4(n: usize, meter: &mut Meter) {
    run(n, meter, Format::Nest84, Width::W4);
}

/// Both planes, rounded on the fly.
pub(crate) fn nest3(n: usize, meter: &mut Meter) {
    run(n, meter, Format::Nest84, Width::W3);
}

/// Rounded on the fly; 2, 4 and 6 bits cost the same.
pub(crate) fn raw3(n: usize, meter: &mut Meter) {
    run(n, meter, Format::Raw8, Width::W3);
}

/// Layers that are not square, or small: kernel, inputs, outputs.
pub(crate) const SMALL: [(&str, usize, usize); 5] = [
    ("linear_s8_square", 16, 16),
    ("linear_s8_square", 17, 17),
    ("linear_s8_to_8", 32, 8),
    ("linear_s8_to_10", 64, 10),
    ("linear_s8_to_2", 256, 2),
];

/// One of [`SMALL`], by its inputs.
pub(crate) fn small(n: usize, meter: &mut Meter) {
    match n {
        16 => one::<16, 16, 256>(meter),
        17 => one::<17, 17, 289>(meter),
        32 => one::<32, 8, 256>(meter),
        64 => one::<64, 10, 640>(meter),
        256 => one::<256, 2, 512>(meter),
        _ => {}
    }
}

#[inline(never)]
fn one<const DEPTH: usize, const N: usize, const CODES: usize>(meter: &mut Meter) {
    let mut noise = Noise::new(DEPTH as u32);
    let (mut codes, mut words) = ([0i8; CODES], [0u32; 512]);
    codes.fill_with(|| noise.s8());
    let Ok(shape) = Rows::new(N, DEPTH) else { return };
    let Ok(rows) = Weights::s8(&codes, shape) else { return };
    if Layout::BEST == Layout::Rows {
        return layer::<N, DEPTH>(meter, rows, Width::W8);
    }
    let Some(words) = words.get_mut(..packed_words(Format::S8, Layout::BEST, shape)) else { return };
    if let Ok(packed) = rows.pack_into(Format::S8, Layout::BEST, Width::W8, words, &mut []) {
        layer::<N, DEPTH>(meter, packed, Width::W8);
    }
}

fn run(n: usize, meter: &mut Meter, format: Format, width: Width) {
    match n {
        32 => square::<32, 1024, 512, 256>(meter, format, width),
        64 => square::<64, 4096, 2048, 1024>(meter, format, width),
        256 => square::<256, 65_536, 32_768, 16_384>(meter, format, width),
        _ => {}
    }
}

#[inline(never)]
fn square<const N: usize, const CODES: usize, const BYTES: usize, const WORDS: usize>(
    meter: &mut Meter,
    format: Format,
    width: Width,
) {
    let mut noise = Noise::new(N as u32);
    let mut codes = [0i8; CODES];
    codes.fill_with(|| noise.s8().min(NEST_CAP));
    let (mut high, mut low) = ([0u8; BYTES], [0u8; BYTES]);
    let Ok(shape) = Rows::new(N, N) else { return };
    let rows = match format {
        Format::S8 => Weights::s8(&codes, shape),
        Format::Raw8 => Weights::raw8(&codes, shape),
        Format::S4 => {
            codes.iter_mut().for_each(|code| *code >>= 4);
            pack_s4(&codes, &mut high).and_then(|()| Weights::s4(&high, shape))
        }
        Format::Nest84 => nest_planes(&codes, &mut high, &mut low).and_then(|()| Weights::nest(&high, &low, shape)),
    };
    let Ok(rows) = rows else { return };
    if Layout::BEST == Layout::Rows {
        return layer::<N, N>(meter, rows, width);
    }
    let (mut words, mut low) = ([0u32; WORDS], [0u32; WORDS]);
    let length = if format == Format::S8 || format == Format::Raw8 { WORDS } else { WORDS / 2 };
    let low_length = if format == Format::Nest84 { length } else { 0 };
    let (Some(words), Some(low)) = (words.get_mut(..length), low.get_mut(..low_length)) else { return };
    let whole = if format == Format::S4 { Width::W4 } else { Width::W8 };
    if let Ok(packed) = rows.pack_into(format, Layout::BEST, whole, words, low) {
        layer::<N, N>(meter, packed, width);
    }
}

#[inline(never)]
fn layer<const N: usize, const DEPTH: usize>(meter: &mut Meter, weights: Weights<'_>, width: Width) {
    let scale = [Multiplier { mantissa: 1_500_000_000, shift: -9 }];
    let Ok(table) = RequantTable::<N>::new(&weights, width, &QUANT, &[], &scale) else { return };
    let widths = [(width, table.by_ref())];
    let Ok(layer) = LinearS8::new(weights, &widths, QUANT) else { return };
    let (mut x, mut y) = ([0i8; DEPTH], [0i8; N]);
    for row in 0..ROWS {
        let mut noise = Noise::new(row as u32);
        x.fill_with(|| noise.s8());
        meter.count(&mut || {
            let _ = black_box(black_box(&layer).run(black_box(&x), black_box(&mut y), 1));
        });
    }
}
