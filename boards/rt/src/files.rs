//! Files of the host: what stands in for a camera and a display.

use core::fmt;

use crate::machine;

/// Why a file could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// The path is longer than 255 bytes or holds a zero byte.
    Path,
    /// The file cannot be opened.
    Open,
    /// The file has more bytes than the buffer.
    TooLarge {
        /// Bytes of the file.
        file: u64,
        /// Bytes of the buffer.
        buffer: usize,
    },
    /// Reading stopped early.
    Read,
    /// Writing stopped early.
    Write,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("the path is too long or holds a zero byte"),
            Self::Open => f.write_str("the file cannot be opened"),
            Self::TooLarge { file, buffer } => write!(f, "the file has {file} bytes, the buffer {buffer}"),
            Self::Read => f.write_str("the file cannot be read"),
            Self::Write => f.write_str("the file cannot be written"),
        }
    }
}

impl core::error::Error for FileError {}

/// Reads a whole file of the host to the front of `buffer`; gives the number of bytes.
///
/// # Errors
/// When it cannot be read or has more bytes than `buffer`.
pub fn read_file(path: &str, buffer: &mut [u8]) -> Result<usize, FileError> {
    machine::read_file(path, buffer)
}

/// Writes a whole file of the host.
///
/// # Errors
/// When it cannot be written.
pub fn write_file(path: &str, bytes: &[u8]) -> Result<(), FileError> {
    machine::write_file(path, bytes)
}
