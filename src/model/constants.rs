//! The constants of a generated model: one file in flash, read in place as elements of any type.

use super::Aligned;
use crate::backend::arena::{Plain, view};
use crate::error::{Arg, Error};

/// Constants that lie side by side in one aligned file, little endian.
///
/// # Example
/// ```
/// use scrimp::model::{Aligned, Constants};
/// static BYTES: Aligned<[u8; 6]> = Aligned([1, 0, 0, 0, 255, 2]);
/// const DATA: Constants<'static> = Constants::new(&BYTES);
/// static BIAS: &[i32] = scrimp::expect!(DATA.i32s(0, 1));
/// assert_eq!((BIAS, DATA.i8s(4, 2)?), (&[1][..], &[-1, 2][..]));
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Constants<'a>(&'a Aligned<[u8]>);

macro_rules! of {
    ($($name:ident: $type:ty),+) => { $(
        #[doc = concat!("`len` elements of `", stringify!($type), "` from byte `at` on.")]
        ///
        /// # Errors
        /// `Error::TooLarge` unless they lie inside, at a multiple of their size.
        pub const fn $name(&self, at: usize, len: usize) -> Result<&'a [$type], Error> {
            self.view(at, len)
        }
    )+ };
}

impl<'a> Constants<'a> {
    /// Those of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a Aligned<[u8]>) -> Self {
        Self(bytes)
    }

    of!(i8s: i8, u8s: u8, i16s: i16, u16s: u16, i32s: i32, words: u32, i64s: i64, f32s: f32);

    const fn view<T: Plain>(&self, at: usize, len: usize) -> Result<&'a [T], Error> {
        match view(self.0, at, len) {
            Some(elements) => Ok(elements),
            None => Err(Error::TooLarge { what: Arg::Table, max: self.0.0.len(), got: at }),
        }
    }
}
