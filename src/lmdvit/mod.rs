//! LMD-ViT: deblurs only the windows of a photo that are blurred.
//!
//! Li, Zhao, Zhou, Feng, Li, Loy, "Adaptive Window Pruning for Efficient Local Motion Deblurring", ICLR 2024,
//! arXiv 2306.14268. A U-shaped transformer whose blocks work on one 8x8 window at a time and skip the windows that a
//! decision says are sharp. Two forms of the decision, chosen by the [`Config`]:
//!
//! * [`Decision::Predictors`], the paper's: a confidence predictor in each stage looks at the features.
//! * [`Decision::Cells`], ours ("mask first"): a tiny convolutional net looks at the image, and at the frame before it
//!   if there is one, and decides once, before anything else runs, for cells of half a window. All decisions of all
//!   levels follow from that one map, the convolutions between the stages run only where something needs them, and
//!   pixels outside the active cells are the input's, byte for byte.
//!
//! What we changed besides: windows are processed in place, one after another, so that scratch is one window and no
//! second feature map exists; the image is padded at the right and bottom by repetition; an image with no active window
//! comes back unchanged.
//!
//! ```
//! use scrimp::lmdvit::{Frame, LmdVit, Policy, Workspace};
//! use scrimp::model::Model;
//!
//! static MODEL: &[u8] = scrimp::include_model!("../../tests/vectors/lmdvit/mini.scrimp");
//! let net = LmdVit::new(&Model::from_bytes(MODEL)?)?;
//! let photo = [200u8; 16 * 16 * 3];
//! let frame = Frame::new(&photo, 16, 16)?;
//!
//! let sizes = net.config().sizes(16, 16)?; // a `const fn`: on a board these are `static` arrays
//! let (mut features, mut scratch, mut cells) = (vec![0.0; sizes.features], vec![0.0; sizes.scratch], vec![0; sizes.cells]);
//! let mut work = Workspace { features: &mut features, scratch: &mut scratch, cells: &mut cells };
//! let mut sharp = [0; 16 * 16 * 3];
//! let stats = net.run(frame, None, Policy::Own, &mut sharp, &mut work)?;
//! println!("{} of {} cells were blurred", stats.active_cells, stats.cells);
//! # Ok::<(), scrimp::Error>(())
//! ```

mod block;
mod cells;
mod config;
mod frame;
mod layout;
mod mask_net;
mod motion;
mod net;
mod predictor;
mod tensors;
mod tile;
mod watch;
mod weights;
mod window;

pub use config::{
    CONFIG_BYTES, CellNet, Cells, Config, Decision, MAX_LEVELS, MAX_MASK_LAYERS, MAX_STAGES, MaskLayer, Skip,
};
pub use frame::Frame;
pub use layout::Sizes;
pub use motion::MAX_GROUPS;
pub use net::{LmdVit, Policy, Stats, Workspace};
pub use tensors::{Orientation, TensorSpec, TensorSpecs};
pub use tile::{Tile, Tiles};
pub use watch::{Features, Watch};

pub use crate::nn::Padding;
