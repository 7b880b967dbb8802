//! What a call says.

use scrimp::Error;

/// 0 if a call did what it is for; else what was wrong with it, and nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Status {
    /// It is done.
    Ok = 0,
    /// A pointer is null, or not aligned to what it points to.
    Pointer = -1,
    /// A number of elements is zero, does not fit the other ones, or is too large.
    Size = -2,
    /// A scale, a zero point, a multiplier, a range or another parameter cannot be.
    Parameter = -3,
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match error {
            Error::Config { .. } => Self::Parameter,
            _ => Self::Size,
        }
    }
}

impl From<Result<(), Self>> for Status {
    fn from(result: Result<(), Self>) -> Self {
        match result {
            Ok(()) => Self::Ok,
            Err(status) => status,
        }
    }
}
