//! One runtime for every board and for the host, so that an example is one file that runs on all of them.
//!
//! ```
//! use scrimp_rt::println;
//!
//! scrimp_rt::entry!(run);
//!
//! fn run() -> Result<(), core::fmt::Error> {
//!     println!("hello from {}", scrimp_rt::BOARD);
//!     Ok(())
//! }
//! ```
//! (with `#![cfg_attr(target_os = "none", no_std, no_main)]` on top of the file).
//!
//! On a board, print, files, arguments and the exit code go through semihosting; addresses and clocks come from the
//! board's `config.toml`. On the host, `std` stands in for each, and [`Ticks`] counts nanoseconds.
#![no_std]

#[cfg(not(target_os = "none"))]
extern crate std;

mod args;
mod buffer;
mod files;
mod ticks;

#[cfg(target_os = "none")]
#[path = "board/mod.rs"]
mod machine;
#[cfg(not(target_os = "none"))]
#[path = "host.rs"]
mod machine;

pub use args::{Args, args};
pub use buffer::{Buffer, Taken};
pub use files::{FileError, read_file, write_file};
pub use machine::{BACKEND, BOARD, Delay, Led, RAM, UNIT, exit, led, stack_depth, stack_high_water};
pub use ticks::Ticks;

#[doc(hidden)]
pub mod __private {
    pub use crate::machine::{eprint, print};
}

/// Makes `fn run() -> Result<(), E>` the program: exit code 0 on `Ok`; on `Err` the error is printed, exit code 1.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        #[cfg(target_os = "none")]
        $crate::start!(main);

        fn main() {
            if let Err(error) = $run() {
                $crate::eprintln!("error: {error}");
                $crate::exit(1);
            }
            $crate::exit(0);
        }
    };
}

/// Makes `fn body()` what a board runs after reset, without any text; [`entry!`] is what examples want.
#[macro_export]
macro_rules! start {
    ($body:path) => {
        #[unsafe(export_name = "scrimp_main")]
        fn __scrimp_main() {
            $body();
        }
    };
}

/// `std::println!`, also on boards.
#[macro_export]
macro_rules! println {
    ($($text:tt)*) => { $crate::__private::print(::core::format_args!("{}\n", ::core::format_args!($($text)*))) };
}

/// `std::print!`, also on boards.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::__private::print(::core::format_args!($($text)*)) };
}

/// `std::eprintln!`, also on boards.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => { $crate::__private::eprint(::core::format_args!("{}\n", ::core::format_args!($($text)*))) };
}
