//! The parts of the suite, and which of them are compiled.
//!
//! All of them, unless `SCRIMP_SUITE` names some, with commas between: the flash of a micro:bit does not hold them all. Then
//! xtask builds the parts that the board's `SCRIMP_SUITE_PARTS` lists one after the other.

const PARTS: [&str; 7] = ["softmax", "fixed", "nn", "quant", "bits", "moves", "elementwise"];
const CHOSEN: Option<&str> = option_env!("SCRIMP_SUITE");

/// Softmax in f32.
pub(crate) const SOFTMAX: bool = is_chosen("softmax");
/// Softmax on integers.
pub(crate) const FIXED: bool = is_chosen("fixed");
/// AdaLog.
pub(crate) const QUANT: bool = is_chosen("quant");
/// Layers and LMD-ViT.
pub(crate) const NN: bool = is_chosen("nn");

/// Element-wise integer layers, tables and reductions.
pub(crate) const ELEMENTWISE: bool = is_chosen("elementwise");
/// Integer layers at every width.
pub(crate) const BITS: bool = is_chosen("bits");
/// Operators that move elements, and layers with a memory.
pub(crate) const MOVES: bool = is_chosen("moves");

const fn is_chosen(part: &str) -> bool {
    let Some(chosen) = CHOSEN else { return true };
    let mut rest = chosen.as_bytes();
    let mut found = false;
    while !rest.is_empty() {
        let (name, after) = until_comma(rest);
        assert!(is_part(name), "SCRIMP_SUITE names no part of the suite");
        found |= is_equal(name, part.as_bytes());
        rest = after;
    }
    found
}

const fn is_part(name: &[u8]) -> bool {
    let mut i = 0;
    while i < PARTS.len() {
        if is_equal(name, PARTS[i].as_bytes()) {
            return true;
        }
        i += 1;
    }
    false
}

/// What is before the first comma, and what is behind it.
const fn until_comma(text: &[u8]) -> (&[u8], &[u8]) {
    let mut i = 0;
    while i < text.len() {
        if text[i] == b',' {
            let (name, rest) = text.split_at(i);
            return (name, rest.split_at(1).1);
        }
        i += 1;
    }
    (text, &[])
}

const fn is_equal(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    a.len() == b.len()
}
