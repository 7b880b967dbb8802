//! The host in the role of a board.

use core::fmt;
use std::io::{Read, Write};
use std::sync::LazyLock;
use std::time::Instant;
use std::{env, fs, io, process, thread};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{ErrorType, OutputPin};

use crate::FileError;

/// The name of the board.
pub const BOARD: &str = "host";
/// The backend that the library must have picked; the host takes what its CPU has.
pub const BACKEND: Option<&str> = None;
/// Bytes of RAM for statics and stack: more than anything here asks for.
pub const RAM: usize = 1 << 30;
/// What [`Ticks`](crate::Ticks) counts.
pub const UNIT: &str = "ns";

/// Ends the program.
pub fn exit(code: i32) -> ! {
    // A closed pipe is no reason to fail.
    let _ = io::stdout().flush();
    process::exit(code)
}

/// Bytes of stack used so far at most; the host does not know.
#[must_use]
pub fn stack_high_water() -> usize {
    0
}

/// Bytes of stack in use now; the host does not know.
#[must_use]
pub fn stack_depth() -> usize {
    0
}

#[doc(hidden)]
pub fn print(text: fmt::Arguments<'_>) {
    std::print!("{text}");
}

#[doc(hidden)]
pub fn eprint(text: fmt::Arguments<'_>) {
    std::eprint!("{text}");
}

pub(crate) fn for_each_arg(mut visit: impl FnMut(&str)) {
    for arg in env::args_os().skip(1) {
        visit(&arg.to_string_lossy());
    }
}

pub(crate) fn read_file(path: &str, buffer: &mut [u8]) -> Result<usize, FileError> {
    let mut file = fs::File::open(path).map_err(|_| FileError::Open)?;
    let len = file.metadata().map_err(|_| FileError::Read)?.len();
    let too_large = FileError::TooLarge { file: len, buffer: buffer.len() };
    let room = usize::try_from(len).ok().and_then(|len| buffer.get_mut(..len)).ok_or(too_large)?;
    file.read_exact(room).map_err(|_| FileError::Read)?;
    Ok(room.len())
}

pub(crate) fn write_file(path: &str, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = fs::File::create(path).map_err(|_| FileError::Open)?;
    file.write_all(bytes).map_err(|_| FileError::Write)
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub(crate) fn counter() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

pub(crate) fn units(ticks: u64) -> u64 {
    ticks
}

/// The LED of the board; the host has none, so nothing happens.
#[derive(Debug)]
#[expect(missing_copy_implementations, reason = "there is one LED")]
pub struct Led(());

/// The LED of the board, dark.
#[must_use]
pub fn led() -> Led {
    Led(())
}

impl ErrorType for Led {
    type Error = core::convert::Infallible;
}

impl OutputPin for Led {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delay;

impl DelayNs for Delay {
    fn delay_ns(&mut self, ns: u32) {
        thread::sleep(core::time::Duration::from_nanos(ns.into()));
    }
}
