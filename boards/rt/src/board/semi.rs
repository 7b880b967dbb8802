//! Print, exit, arguments and files through semihosting.

use core::ffi::CStr;
use core::fmt;

use semihosting::fs::File;
use semihosting::io::{Read, Write, stderr, stdout};

use crate::FileError;

/// Ends the program. One whose stack has run into its statics did not do what it seems to have done, and fails.
pub fn exit(code: i32) -> ! {
    if super::cpu::stack_is_full() {
        #[cfg(feature = "messages")]
        crate::eprintln!("error: the stack of {} is too small and ran into the statics", super::BOARD);
        semihosting::process::exit(1)
    }
    semihosting::process::exit(code)
}

#[doc(hidden)]
pub fn print(text: fmt::Arguments<'_>) {
    if let Ok(mut out) = stdout() {
        // Nobody listens when this fails.
        let _ = out.write_fmt(text);
    }
}

#[doc(hidden)]
pub fn eprint(text: fmt::Arguments<'_>) {
    if let Ok(mut out) = stderr() {
        // Nobody listens when this fails.
        let _ = out.write_fmt(text);
    }
}

pub(crate) fn for_each_arg(mut visit: impl FnMut(&str)) {
    if let Ok(args) = semihosting::experimental::env::args::<{ crate::args::ROOM }>() {
        for arg in (&args).skip(1) {
            visit(arg.unwrap_or_default());
        }
    }
}

pub(crate) fn read_file(path: &str, buffer: &mut [u8]) -> Result<usize, FileError> {
    let mut file = with_c_str(path, |path| File::open(path).map_err(|_| FileError::Open))?;
    let len = file.metadata().map_err(|_| FileError::Read)?.len();
    let too_large = FileError::TooLarge { file: len, buffer: buffer.len() };
    let room = usize::try_from(len).ok().and_then(|len| buffer.get_mut(..len)).ok_or(too_large)?;
    file.read_exact(room).map_err(|_| FileError::Read)?;
    Ok(room.len())
}

pub(crate) fn write_file(path: &str, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = with_c_str(path, |path| File::create(path).map_err(|_| FileError::Open))?;
    file.write_all(bytes).map_err(|_| FileError::Write)
}

/// Runs `f` on `path` with a zero byte behind it.
fn with_c_str<T>(path: &str, f: impl FnOnce(&CStr) -> Result<T, FileError>) -> Result<T, FileError> {
    let mut room = [0; 256];
    let text = room.get_mut(..path.len()).ok_or(FileError::Path)?;
    text.copy_from_slice(path.as_bytes());
    let with_zero = room.get(..=path.len()).ok_or(FileError::Path)?;
    f(CStr::from_bytes_with_nul(with_zero).map_err(|_| FileError::Path)?)
}
