//! The program's arguments.

use crate::machine;

/// Bytes that all arguments together may have.
pub(crate) const ROOM: usize = 512;

/// The arguments of the program, its own name not among them.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    text: [u8; ROOM],
    len: usize,
}

/// The arguments: `std::env::args` on the host, semihosting's command line on a board, split at blanks.
///
/// Arguments beyond 512 bytes are dropped.
#[must_use]
pub fn args() -> Args {
    let mut args = Args { text: [0; ROOM], len: 0 };
    machine::for_each_arg(|arg| args.push(arg));
    args
}

impl Args {
    /// Argument `n`, counted from 0.
    #[must_use]
    pub fn get(&self, n: usize) -> Option<&str> {
        self.iter().nth(n)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        // Each ends with a zero byte, so the last piece is no argument.
        let pieces = self.text.get(..self.len).unwrap_or_default().split_inclusive(|&b| b == 0);
        pieces.filter_map(|piece| core::str::from_utf8(piece.split_last()?.1).ok())
    }

    fn push(&mut self, arg: &str) {
        let end = self.len + arg.len();
        if let Some(room) = self.text.get_mut(self.len..end)
            && end < ROOM
        {
            room.copy_from_slice(arg.as_bytes());
            self.len = end + 1;
        }
    }
}
