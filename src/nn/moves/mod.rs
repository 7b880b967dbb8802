//! Operators that only move elements: one strided copy in several axes for nearly all of them, and the two whose order no
//! stride describes.
//!
//! | TFLite | here |
//! | --- | --- |
//! | `CONCATENATION`, `PACK` | [`Move::place`] for each input |
//! | `SPLIT`, `SPLIT_V`, `UNPACK`, `SLICE`, `STRIDED_SLICE` | [`Move::slice`] for each output |
//! | `PAD`, `PADV2` | [`Move::place`] and [`Move::run_filled`] |
//! | `TRANSPOSE` | [`Move::transpose`] |
//! | `TILE`, `SPACE_TO_BATCH_ND`, `BATCH_TO_SPACE_ND` | [`Move::new`] |
//! | `SPACE_TO_DEPTH`, `DEPTH_TO_SPACE` | [`Move::space_to_depth`], [`Move::depth_to_space`] |
//! | `MIRROR_PAD` | [`MirrorPad`] |
//! | `GATHER` | [`Gather`] |

mod gather;
mod mirror;
mod strided;

pub use gather::Gather;
pub use mirror::{Mirror, MirrorAxis, MirrorPad};
pub use strided::{MOST_AXES, Move, MoveAxis};

use super::copy;
use super::resize::{ResizeNearest, run_nearest};

pub(crate) mod sealed {
    use super::{Gather, MirrorAxis, MoveAxis, ResizeNearest, gather, mirror, run_nearest, strided};

    /// The loops for one type of element, each compiled once, here.
    pub trait Moved: Copy {
        /// [`super::Move`].
        fn run_move(axes: &[MoveAxis], piece: usize, first: [usize; 2], x: &[Self], y: &mut [Self]);

        /// [`super::MirrorPad`].
        fn run_mirror(axes: &[MirrorAxis], edge: usize, piece: usize, x: &[Self], y: &mut [Self]);

        /// [`super::Gather`].
        fn run_gather(of: &Gather, x: &[Self], indices: &[i32], y: &mut [Self]);

        /// [`super::ResizeNearest`].
        fn run_nearest(of: &ResizeNearest, x: &[Self], y: &mut [Self]);
    }

    macro_rules! moved {
        ($($type:ty),*) => {$(
            impl Moved for $type {
                fn run_move(axes: &[MoveAxis], piece: usize, first: [usize; 2], x: &[Self], y: &mut [Self]) {
                    strided::run(axes, piece, first, x, y);
                }

                fn run_mirror(axes: &[MirrorAxis], edge: usize, piece: usize, x: &[Self], y: &mut [Self]) {
                    mirror::run(axes, edge, piece, x, y);
                }

                fn run_gather(of: &Gather, x: &[Self], indices: &[i32], y: &mut [Self]) {
                    gather::run(of, x, indices, y);
                }

                fn run_nearest(of: &ResizeNearest, x: &[Self], y: &mut [Self]) {
                    run_nearest(of, x, y);
                }
            }

            impl super::MoveElement for $type {}
        )*};
    }

    moved!(i8, u8, i16, i32, i64, f32);
}

/// Types of elements that are moved: `i8`, `u8`, `i16`, `i32`, `i64`, `f32`.
pub trait MoveElement: sealed::Moved {}
