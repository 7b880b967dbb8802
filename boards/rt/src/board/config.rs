//! The numbers of the board, from the `[env]` table of its `config.toml`.

macro_rules! number {
    ($name:literal) => {
        parse(env!($name, "build for a board with `--config boards/<board>/config.toml`"))
    };
}

/// The name of the board.
pub const BOARD: &str = env!("SCRIMP_BOARD", "build for a board with `--config boards/<board>/config.toml`");
/// The backend that the library must have picked for it.
pub const BACKEND: Option<&str> = Some(env!("SCRIMP_BACKEND"));
/// Bytes of RAM for statics and stack.
pub const RAM: usize = number!("SCRIMP_RAM") as usize;
/// Ticks of the counter in a second.
pub(super) const CLOCK_HZ: u64 = number!("SCRIMP_CLOCK_HZ");
/// Address of the register that holds the LED's level.
pub(super) const LED_OUT: usize = number!("SCRIMP_LED_OUT") as usize;
/// Address of the register that makes the pin an output; 0 if there is none.
pub(super) const LED_DIR: usize = number!("SCRIMP_LED_DIR") as usize;
/// Bit of the LED in both registers.
pub(super) const LED_BIT: u32 = number!("SCRIMP_LED_BIT") as u32;

/// A decimal number or one that starts with `0x`, with `_` anywhere.
const fn parse(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let hex = bytes.len() > 2 && bytes[0] == b'0' && bytes[1] == b'x';
    let (base, mut i) = if hex { (16, 2) } else { (10, 0) };
    let mut value = 0;
    while i < bytes.len() {
        let digit = match bytes[i] {
            b @ b'0'..=b'9' => b - b'0',
            b @ b'a'..=b'f' if hex => b - b'a' + 10,
            b'_' => {
                i += 1;
                continue;
            }
            _ => panic!("a number of the board's config.toml is not a number"),
        };
        value = value * base + digit as u64;
        i += 1;
    }
    value
}

/// The greatest common divisor.
pub(super) const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
