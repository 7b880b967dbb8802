//! `scrimp::quant` and the attention that uses it.

use core::hint::black_box;

use scrimp::Rows;
use scrimp::backend::Dispatch;
use scrimp::nn::{AttentionAdaLog, AttentionScales, CodeForm, attend_adalog, attend_adalog_on};
use scrimp::quant::{
    AdaLog, Code, CodeLinear, CodeProduct, FixedCodec, GeluCodes, GeluForm, GeluLadder, GeluS8, Log2, LogCodec,
    LogSqrt2, LogitBias, LogitCodes, PackedKeys, PackedValues, Shift, Symbols, Ties, Uniform, ValueRange, pack,
    packed_len, unpack,
};

use crate::any::{any, slice, slice_mut, values};
use crate::on_each_backend;

fn adalog() -> Option<AdaLog> {
    AdaLog::new(any(4), any(25), any(1.0), any(Symbols::TopIsZero)).ok()
}

fn range() -> ValueRange {
    any(ValueRange { zero_point: 1, low: -8, high: 7 })
}

pub(crate) fn calls() {
    parameters();
    sizes();
    rows();
    on_each_backend!(on);
}

fn parameters() {
    let Some(adalog) = adalog() else { return };
    let adalog = AdaLog::with_ties(adalog, any(Ties::Up));
    black_box((AdaLog::bits(&adalog), AdaLog::q(&adalog), AdaLog::scale(&adalog), AdaLog::symbols(&adalog)));
    let code = any(3);
    black_box((AdaLog::codes(&adalog), AdaLog::shift(&adalog, code), AdaLog::mantissa(&adalog, code)));
    black_box((AdaLog::largest_mantissa(&adalog), AdaLog::fraction_bits(&adalog), AdaLog::value(&adalog, code)));
    black_box((AdaLog::weight(&adalog, code, any(40)), AdaLog::code_of(&adalog, any(0.3))));
    black_box(AdaLog::taken_off(&adalog, any(0.17), any(Shift::Paper)));
    codecs(&AdaLog::codec(&adalog), AdaLog::fixed_codec(&adalog, any(0.1)).ok());
    if let Ok(log2) = Log2::new(any(4), any(1.0), any(Symbols::Full)) {
        black_box(Log2::value(&log2, code));
        codecs(&Log2::codec(&log2), Log2::fixed_codec(&log2, any(0.1)).ok());
    }
    if let Ok(log_sqrt2) = LogSqrt2::new(any(4), any(1.0), any(Symbols::Full)) {
        black_box(LogSqrt2::value(&log_sqrt2, code));
        codecs(&LogSqrt2::codec(&log_sqrt2), LogSqrt2::fixed_codec(&log_sqrt2, any(0.1)).ok());
    }
    black_box((<u8 as Code>::of(code), <u16 as Code>::of(code)));
    black_box(ValueRange::magnitude(range()));
}

fn codecs(codec: &LogCodec, fixed: Option<FixedCodec>) {
    let (mut small, mut large, mut x) = ([0u8; 8], [0u16; 8], [0.0; 8]);
    let _ = black_box(LogCodec::encode(codec, values!([0.1; 8]), slice_mut(&mut small)));
    let _ = black_box(LogCodec::encode(codec, values!([0.1; 8]), slice_mut(&mut large)));
    let _ = black_box(LogCodec::decode(codec, slice(&small), slice_mut(&mut x)));
    if let Some(fixed) = fixed {
        let _ = black_box(FixedCodec::encode(&fixed, values!([9u16; 8]), slice_mut(&mut small)));
        let _ = black_box(FixedCodec::encode(&fixed, values!([9u32; 8]), slice_mut(&mut large)));
    }
}

fn sizes() {
    black_box(packed_len(any(3), any(9)));
    let Ok(shape) = Rows::new(any(3), any(9)) else { return };
    black_box((PackedKeys::words(shape), PackedValues::words(shape)));
    black_box((CodeProduct::scratch_words(shape), AttentionAdaLog::scratch_words(shape)));
}

fn rows() {
    let (Some(adalog), Ok(rows)) = (adalog(), Rows::new(any(2), any(8))) else { return };
    let (mut codes, mut y) = ([0u8; 16], [0.0; 16]);
    if let Ok(uniform) = Uniform::new(any(4), any(0.5), any(3)) {
        let _ = black_box(Uniform::encode(&uniform, values!([0.1; 16]), slice_mut(&mut codes)));
        let _ = black_box(Uniform::decode(&uniform, slice(&codes), slice_mut(&mut y)));
    }
    let _ = black_box(pack(any(4), values!([1; 32]), slice_mut(&mut codes)));
    let _ = black_box(unpack(any(4), values!([1; 8]), slice_mut(&mut codes)));
    if let Ok(gelu) = GeluS8::new(any((0.1, 3)), any((0.1, 3)), any(GeluForm::Tanh)) {
        let mut y = [0; 16];
        let _ = black_box(GeluS8::run(&gelu, values!([1; 16]), slice_mut(&mut y)));
    }
    if let Ok(gelu) = GeluCodes::new(&adalog, any(0.1), any(3), any(0.17), any(GeluForm::Erf)) {
        let _ = black_box(GeluCodes::run(&gelu, values!([1; 16]), slice_mut(&mut codes), rows));
    }
    if let Ok(gelu) = GeluLadder::<16>::new(&adalog, any(0.1), any(0.17), any(GeluForm::Erf)) {
        let _ = black_box(GeluLadder::run(&gelu, values!([1; 16]), slice_mut(&mut codes), rows));
    }
    for codes in [
        LogitCodes::<16>::anchored(&adalog, any(0.1)),
        LogitCodes::normalized(&adalog, any(0.1)).map(LogitCodes::with_thresholds),
    ] {
        let Ok(logit_codes) = codes else { continue };
        black_box((LogitCodes::is_exact(&logit_codes), LogitCodes::packed_len(&logit_codes, any(9))));
        let mut codes = [0u8; 16];
        let bias = bias();
        let _ = black_box(LogitCodes::run(&logit_codes, values!([1; 16]), slice_mut(&mut codes), rows));
        let _ = black_box(LogitCodes::run_biased(&logit_codes, values!([1; 16]), bias, slice_mut(&mut codes), rows));
        let _ = black_box(LogitCodes::run_s8(&logit_codes, values!([1; 16]), bias, slice_mut(&mut codes), rows));
    }
    let mut y = [0; 16];
    if let Ok(linear) = CodeLinear::<16>::new(&adalog, any(8), any(15)) {
        black_box(CodeLinear::unit(&linear));
        let _ = black_box(CodeLinear::fold(&linear, any(0.1), any(0.1), any(5), any(0.17)));
        let _ = black_box(CodeLinear::run(
            &linear,
            slice(&codes),
            values!([1; 16]),
            values!([1; 2]),
            values!([1; 2]),
            slice_mut(&mut y),
            rows,
        ));
    }
    if let Ok(product) = CodeProduct::<16>::new(&adalog, range(), any(8)) {
        black_box((CodeProduct::table(&product), CodeProduct::fraction_bits(&product)));
        let _ = black_box(CodeProduct::run(&product, slice(&codes), values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(CodeProduct::run_buckets(&product, slice(&codes), values!([1; 16]), slice_mut(&mut y), rows));
        let _ = black_box(CodeProduct::sums(&product, slice(&codes), slice_mut(&mut y), rows));
    }
    let (mut k, mut v, mut scratch) = ([0; 99], [0; 199], [0; 299]);
    let k = PackedKeys::pack(values!([1; 64]), slice_mut(&mut k), rows);
    let v = PackedValues::pack(values!([1; 64]), slice_mut(&mut v), rows);
    let (Ok(k), Ok(v)) = (k, v) else { return };
    black_box((PackedKeys::shape(&k), PackedValues::shape(&v)));
    if let Ok(product) = CodeProduct::with_fraction_bits(&adalog, range(), any(8), any(5)) {
        let (codes, y) = (slice(&codes), slice_mut(&mut y));
        let _ = black_box(CodeProduct::run_packed(&product, codes, &v, y, slice_mut(&mut scratch)));
    }
    if let Some(attention) = attention() {
        let mut y = [0; 16];
        let (y, scratch) = (slice_mut(&mut y), slice_mut(&mut scratch));
        let _ = black_box(attend_adalog(&attention, values!([1; 16]), &k, &v, bias(), y, scratch));
    }
}

fn bias() -> LogitBias<'static> {
    let kinds = [LogitBias::None, LogitBias::Add(slice(&[1; 16])), LogitBias::Mask(slice(&[true; 16]))];
    black_box(kinds).into_iter().nth(any(1)).unwrap_or_default()
}

fn attention() -> Option<AttentionAdaLog> {
    let scales = AttentionScales {
        logit: any(0.01),
        value: any(0.02),
        values: range(),
        output: any(0.03),
        output_zero_point: any(4),
    };
    AttentionAdaLog::new(&adalog()?, any(CodeForm::Normalized), &scales, any(8)).ok()
}

fn on<D: Dispatch>(backend: D) {
    let (Some(adalog), Ok(rows)) = (adalog(), Rows::new(any(2), any(8))) else { return };
    let (mut codes, mut y) = ([0u8; 16], [0; 16]);
    if let Ok(logit_codes) = LogitCodes::<16>::normalized(&adalog, any(0.1)) {
        values!(let x = [1; 16]);
        let bias = bias();
        let _ = black_box(LogitCodes::run_on(&logit_codes, backend, x, slice_mut(&mut codes), rows));
        let _ = black_box(LogitCodes::run_biased_on(&logit_codes, backend, x, bias, slice_mut(&mut codes), rows));
        values!(let x = [1i8; 16]);
        let _ = black_box(LogitCodes::run_s8_on(&logit_codes, backend, x, bias, slice_mut(&mut codes), rows));
    }
    if let Ok(linear) = CodeLinear::<16>::new(&adalog, any(8), any(15)) {
        values!(let w = [1; 16]);
        let (codes, y) = (slice(&codes), slice_mut(&mut y));
        let _ = black_box(CodeLinear::run_on(&linear, backend, codes, w, values!([1; 2]), values!([1; 2]), y, rows));
    }
    let (mut k, mut v, mut scratch) = ([0; 99], [0; 199], [0; 299]);
    let k = PackedKeys::pack_on(backend, values!([1; 64]), slice_mut(&mut k), rows);
    let v = PackedValues::pack_on(backend, values!([1; 64]), slice_mut(&mut v), rows);
    let (Ok(k), Ok(v)) = (k, v) else { return };
    if let Ok(product) = CodeProduct::<16>::new(&adalog, range(), any(8)) {
        values!(let x = [1; 16]);
        let (codes, y) = (slice(&codes), slice_mut(&mut y));
        let _ = black_box(CodeProduct::run_on(&product, backend, codes, x, y, rows));
        let _ = black_box(CodeProduct::run_buckets_on(&product, backend, codes, x, y, rows));
        let _ = black_box(CodeProduct::run_packed_on(&product, backend, codes, &v, y, slice_mut(&mut scratch)));
    }
    if let Some(attention) = attention() {
        let mut y = [0; 16];
        let (y, scratch) = (slice_mut(&mut y), slice_mut(&mut scratch));
        let _ = black_box(attend_adalog_on(backend, &attention, values!([1; 16]), &k, &v, bias(), y, scratch));
    }
}
