//! Models in flash and RAM: what generated code of a user's network stands on ([`Constants`], [`Arena`]), and the model
//! blob (`.scrimp`), weights that are read where they lie.
//!
//! # The blob
//! Little endian. Nothing in it is about any network: tensors with names, and one section that the network reads.
//!
//! ```text
//!  0  magic "scrimp\x1a\n"
//!  8  u32 format version (1)         12  u32 length of everything
//! 16  u32 CRC-32 (IEEE) of all bytes from 20 on
//! 20  u32 number of sections (4)     24  u32 0, u32 0
//! 32  section: u32 kind, u32 offset, u32 length, u32 0      four of them, in this order, each 16-byte aligned:
//!       "CONF"  the network's configuration
//!       "TENS"  a record of 48 bytes a tensor
//!       "NAME"  names, ASCII, one after another
//!       "DATA"  elements, 16-byte aligned, and scales
//! tensor record
//!  0  u32 name offset in NAME        4  u16 name length
//!  6  u8 element type                7  u8 rank (1 to 4)
//!  8  u32 x 4 shape, 1 beyond the rank
//! 24  u32 data offset in DATA       28  u32 data length in bytes
//! 32  u32 scales offset in DATA     36  u32 number of scales (f32; 0, 1 or the last extent)
//! 40  u8 widths: bit n-1 is set if the data may be read at n bits; 0 where that means nothing
//! 41  7 bytes of 0
//! ```

mod constants;
mod crc;
mod reader;

pub use crate::backend::arena::{ALIGNMENT, Aligned, Arena, Get, Once, Place, Places, Plain, Set, Slot};
pub use constants::Constants;
pub use crc::crc32;
pub use reader::{Element, Model, Tensor, Tensors};

/// The first eight bytes.
pub const MAGIC: [u8; 8] = *b"scrimp\x1a\n";
/// The format version this library reads.
pub const VERSION: u32 = 1;
/// Bytes of the header, without the section table.
pub const HEADER: usize = 32;
/// Bytes of a section's entry in the table.
pub const SECTION: usize = 16;
/// Bytes of a tensor's record.
pub const RECORD: usize = 48;
/// The sections, in order.
pub const SECTIONS: [[u8; 4]; 4] = [*b"CONF", *b"TENS", *b"NAME", *b"DATA"];

/// A model file as aligned bytes of the program: `static MODEL: &[u8] = scrimp::include_model!("net.scrimp");`
#[macro_export]
macro_rules! include_model {
    ($path:expr) => {{
        const MODEL: &$crate::model::Aligned<[u8]> = &$crate::model::Aligned(*include_bytes!($path));
        &MODEL.0
    }};
}
