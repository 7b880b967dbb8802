//! Pin markers round kernels: a scope or a logic analyser on the pin shows where the time goes.
//!
//! ```
//! use embedded_hal::digital::{ErrorType, OutputPin};
//! # struct Led;
//! # impl ErrorType for Led { type Error = core::convert::Infallible; }
//! # impl OutputPin for Led {
//! #     fn set_low(&mut self) -> Result<(), Self::Error> { Ok(()) }
//! #     fn set_high(&mut self) -> Result<(), Self::Error> { Ok(()) }
//! # }
//! use scrimp::{Rows, softmax_f32_in_place, trace::Marker};
//!
//! let mut marker = Marker::new(Led); // any pin of your HAL
//! let mut row = [1.0, 2.0];
//! marker.around(|| softmax_f32_in_place(&mut row, Rows::one(2)?))?;
//! # Ok::<(), scrimp::Error>(())
//! ```

use embedded_hal::digital::OutputPin;

/// A pin that is high while a kernel runs.
///
/// An error of the pin is ignored: a marker that fails must not fail the work it marks.
#[derive(Debug)]
pub struct Marker<P> {
    pin: P,
}

impl<P: OutputPin> Marker<P> {
    /// A marker on `pin`, which goes low.
    pub fn new(mut pin: P) -> Self {
        let _ = pin.set_low();
        Self { pin }
    }

    /// Runs `work` with the pin high; gives back what `work` gives.
    #[inline]
    pub fn around<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let _ = self.pin.set_high();
        let result = work();
        let _ = self.pin.set_low();
        result
    }

    /// The pin.
    pub fn into_pin(self) -> P {
        self.pin
    }
}
