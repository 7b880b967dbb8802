//! What a case found wrong.

use core::fmt;

/// What a case found wrong, in numbers, so that a board need not format more than it must.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    /// The rule that was broken.
    rule: &'static str,
    /// Length of the row.
    len: usize,
    /// Where the row starts in its buffer.
    offset: usize,
    /// Where in a word bytes start, if the case tries several places.
    place: Option<usize>,
    /// The element, and what it should be and is.
    element: Option<(usize, f64, f64)>,
    /// The checksum that it should be and is.
    checksum: Option<(u32, u32)>,
}

impl Failure {
    /// `rule` was broken.
    #[must_use]
    pub const fn new(rule: &'static str) -> Self {
        Self { rule, len: 0, offset: 0, place: None, element: None, checksum: None }
    }

    /// The checksum of everything is another one; see [`crate::Case::values`] for the elements.
    #[must_use]
    pub const fn checksum(want: u32, got: u32) -> Self {
        Self { checksum: Some((want, got)), ..Self::new("other bytes than elsewhere") }
    }

    /// `rule` was broken if the slices differ, by the first element that does.
    ///
    /// # Errors
    ///
    /// The failure, with the element.
    pub fn first<T: Copy + PartialEq + Into<f64>>(rule: &'static str, want: &[T], got: &[T]) -> Result<(), Self> {
        let mut pairs = want.iter().zip(got).enumerate();
        match pairs.find(|(_, (want, got))| want != got) {
            Some((index, (&want, &got))) => Err(Self::new(rule).element(index, want.into(), got.into())),
            None if want.len() != got.len() => {
                Err(Self::new("another length").element(0, want.len() as f64, got.len() as f64))
            }
            None => Ok(()),
        }
    }

    /// ... for a row of `len` elements that starts at `offset`.
    #[must_use]
    pub const fn row(self, len: usize, offset: usize) -> Self {
        Self { len, offset, ..self }
    }

    /// ... where bytes start `place` behind a word.
    #[must_use]
    pub const fn at(self, place: usize) -> Self {
        Self { place: Some(place), ..self }
    }

    /// ... by element `index`.
    #[must_use]
    pub const fn element(self, index: usize, want: f64, got: f64) -> Self {
        Self { element: Some((index, want, got)), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule)?;
        if self.len != 0 {
            write!(f, "; row of {} at offset {}", self.len, self.offset)?;
        }
        if let Some(place) = self.place {
            write!(f, "; {place} bytes behind a word")?;
        }
        if let Some((index, want, got)) = self.element {
            write!(f, "; element {index} is {got:e}, {want:e} wanted")?;
        }
        if let Some((want, got)) = self.checksum {
            write!(f, "; checksum {got:#x}, {want:#x} wanted")?;
        }
        Ok(())
    }
}

impl core::error::Error for Failure {}
