//! The network: decision, U of stages, output.

use super::block::Block;
use super::cells::{self, ACTIVE, DECODED, ENCODED, Level};
use super::config::{Config, Decision};
use super::frame::Frame;
use super::layout::{Grid, Layout};
use super::mask_net;
use super::motion::{self, Moving, Vectors};
use super::predictor::Predictor;
use super::watch::{Features, Watch};
use super::weights::Weights;
use super::window::Window;
use crate::backend::{Auto, Dispatch, Scalar};
use crate::error::{Arg, Error, Rule, length};
use crate::math::sigmoid;
use crate::model::Model;
use crate::nn::conv::Conv;
use crate::nn::{add, copy};

/// What the gate of a residual never falls below.
const GATE_FLOOR: f32 = 0.1;

/// An LMD-ViT over the weights of a model.
///
/// Having one tells you that the weights fit the configuration: a run fails only for the lengths of what it is given.
#[derive(Clone, Copy, Debug)]
pub struct LmdVit<'m> {
    config: Config,
    weights: Weights<'m>,
    /// In 1/256 of a frame time.
    shutter: u16,
}

/// Which windows run.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Policy<'a> {
    /// Those that the network itself decides on.
    Own,
    /// Every one, also those that hold nothing but padding.
    All,
    /// None: the output is the input.
    None,
    /// Those that touch one of these cells: a byte each, not 0 if active, row by row, as [`Config::cells`] counts them.
    Cells(&'a [u8]),
    /// The same with the motion of each cell: 0 for an inactive cell, else its group, which moved by `vectors[group - 1]` since the
    /// frame before: `[y, x]` in sixteenths of a pixel. [`LmdVit::motion`] makes both. Without [`Config::motion`] the vectors mean
    /// nothing.
    Groups {
        /// Group of each cell of the image, row by row.
        cells: &'a [u8],
        /// Displacements of the groups; what is missing stands still.
        vectors: &'a [[i16; 2]],
    },
}

/// Buffers for a run, at least as long as [`Config::sizes`] says. What they hold before does not matter.
#[derive(Debug)]
pub struct Workspace<'a> {
    /// Features of all levels.
    pub features: &'a mut [f32],
    /// Work on one window.
    pub scratch: &'a mut [f32],
    /// Cells and decisions.
    pub cells: &'a mut [u8],
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stats {
    /// Cells of the image.
    pub cells: usize,
    /// Cells of the image that were active; 0 where predictors decided.
    pub active_cells: usize,
    /// Windows of all blocks.
    pub windows: usize,
    /// Windows that ran.
    pub active_windows: usize,
    /// Multiply-accumulates of the mask net.
    pub mask_macs: u64,
    /// Multiply-accumulates of the predictors.
    pub predictor_macs: u64,
    /// Multiply-accumulates of the convolutions, with what samples along the motion become.
    pub conv_macs: u64,
    /// Multiply-accumulates of the windows.
    pub window_macs: u64,
}

impl Stats {
    /// All multiply-accumulates.
    #[must_use]
    pub const fn macs(&self) -> u64 {
        let decision = self.mask_macs.saturating_add(self.predictor_macs);
        decision.saturating_add(self.conv_macs).saturating_add(self.window_macs)
    }

    /// Adds what another run did, tile by tile for example.
    pub fn add(&mut self, other: &Self) {
        self.cells = self.cells.saturating_add(other.cells);
        self.active_cells = self.active_cells.saturating_add(other.active_cells);
        self.windows = self.windows.saturating_add(other.windows);
        self.active_windows = self.active_windows.saturating_add(other.active_windows);
        self.mask_macs = self.mask_macs.saturating_add(other.mask_macs);
        self.predictor_macs = self.predictor_macs.saturating_add(other.predictor_macs);
        self.conv_macs = self.conv_macs.saturating_add(other.conv_macs);
        self.window_macs = self.window_macs.saturating_add(other.window_macs);
    }
}

/// Where the result goes.
enum Sink<'a> {
    U8(&'a mut [u8]),
    F32(&'a mut [f32]),
}

/// Who says which windows of a stage run.
#[derive(Clone, Copy)]
enum Keep {
    /// The cells.
    Cells,
    /// The predictors' lists, behind the cells.
    Lists,
}

impl<'m> LmdVit<'m> {
    /// The network of a model.
    ///
    /// # Errors
    /// `Error::Config` if the model describes another network or an impossible one, `Error::Tensor` if a tensor is not
    /// what the configuration asks for.
    pub fn new(model: &Model<'m>) -> Result<Self, Error> {
        let config = Config::from_bytes(model.config())?;
        Ok(Self { config, weights: Weights::new(model, &config)?, shutter: 128 })
    }

    /// Exposure time over the time between two frames, above 0 and at most 1; 0.5 before. Only a network with [`Config::motion`]
    /// asks.
    ///
    /// # Errors
    /// `Error::Config` for another number.
    ///
    /// # Example
    /// ```
    /// # let net = scrimp::lmdvit::LmdVit::new(&scrimp::model::Model::from_bytes(scrimp::include_model!("../../tests/vectors/lmdvit/mini.scrimp"))?)?;
    /// let net = net.with_shutter(1.0 / 60.0 * 25.0)?; // 1/60 s at 25 frames a second
    /// assert!(net.with_shutter(1.5).is_err());
    /// # Ok::<(), scrimp::Error>(())
    /// ```
    pub fn with_shutter(self, shutter: f32) -> Result<Self, Error> {
        if !(shutter > 0.0 && shutter <= 1.0) {
            return Err(Error::Config { what: Rule::Number });
        }
        Ok(Self { shutter: ((shutter * 256.0 + 0.5) as u16).max(1), ..self })
    }

    /// Its shape.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Deblurs `frame` into `out`, RGB bytes of the same size.
    ///
    /// `previous` is the frame before; with it the two-frame mask net decides, and a network with [`Config::motion`] finds how each group
    /// of cells moved. Outside the active cells `out` is the
    /// input, byte for byte (with [`Decision::Predictors`] only if no window was active at all).
    ///
    /// # Errors
    /// `Error::Length` that names the buffer or the map of cells; `Error::Size` for a `previous` of another size;
    /// `Error::Missing` if there is a previous frame but no mask net for two, or none and no mask net for one, or none and the network
    /// has [`Config::motion`]; `Error::TooLarge` for an image whose buffers
    /// this machine cannot address. `out` is then untouched.
    pub fn run(
        &self,
        frame: Frame<'_>,
        previous: Option<Frame<'_>>,
        policy: Policy<'_>,
        out: &mut [u8],
        work: &mut Workspace<'_>,
    ) -> Result<Stats, Error> {
        self.run_on(Auto, frame, previous, policy, out, work)
    }

    /// [`run`](Self::run) under a backend of your choice.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_on<D: Dispatch>(
        &self,
        backend: D,
        frame: Frame<'_>,
        previous: Option<Frame<'_>>,
        policy: Policy<'_>,
        out: &mut [u8],
        work: &mut Workspace<'_>,
    ) -> Result<Stats, Error> {
        length(Arg::Output, frame.bytes(), out.len())?;
        self.run_to(backend, frame, previous, policy, Sink::U8(out), work, &mut ())
    }

    /// [`run`](Self::run) with the result in f32, 0 to 1 but not clamped, and a [`Watch`] on the way.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    #[expect(clippy::too_many_arguments, reason = "the arguments of `run`, and two more")]
    pub fn run_f32_on<D: Dispatch, W: Watch>(
        &self,
        backend: D,
        frame: Frame<'_>,
        previous: Option<Frame<'_>>,
        policy: Policy<'_>,
        out: &mut [f32],
        work: &mut Workspace<'_>,
        watch: &mut W,
    ) -> Result<Stats, Error> {
        length(Arg::Output, frame.bytes(), out.len())?;
        self.run_to(backend, frame, previous, policy, Sink::F32(out), work, watch)
    }

    /// Only decides: writes 1 for an active cell and 0 for another into `map`, as [`Policy::Cells`] takes it.
    ///
    /// # Errors
    /// As [`run`](Self::run); `Error::Missing` if predictors decide, as they need the features.
    pub fn decide(
        &self,
        frame: Frame<'_>,
        previous: Option<Frame<'_>>,
        map: &mut [u8],
        work: &mut Workspace<'_>,
    ) -> Result<Stats, Error> {
        self.decide_on(Auto, frame, previous, map, work)
    }

    /// [`decide`](Self::decide) under a backend of your choice.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn decide_on<D: Dispatch>(
        &self,
        backend: D,
        frame: Frame<'_>,
        previous: Option<Frame<'_>>,
        map: &mut [u8],
        work: &mut Workspace<'_>,
    ) -> Result<Stats, Error> {
        if matches!(self.config.decision, Decision::Predictors { .. }) {
            return Err(Error::Missing { what: Arg::MaskNet });
        }
        let layout = self.check(&frame, previous.as_ref(), Policy::Own, work)?;
        let (rows, cols) = self.config.cells(frame.width(), frame.height());
        length(Arg::Cells, rows * cols, map.len())?;
        let mut stats = Stats::default();
        self.mask(backend, &layout, &frame, previous.as_ref(), work, &mut stats, &mut ());
        let level = Level::of(&layout, 0);
        for ((row, col), cell) in Level::grid(rows, cols).zip(map.iter_mut()) {
            *cell = level.get(work.cells, row, col) & ACTIVE;
        }
        stats.cells = rows * cols;
        stats.active_cells = map.iter().filter(|&&cell| cell != 0).count();
        Ok(stats)
    }

    /// Only finds the motion: turns a map of active cells, as [`decide`](Self::decide) writes it, into that of their groups, and writes
    /// the groups' displacements since `previous`; what [`Policy::Groups`] takes. Returns the number of groups, at most
    /// [`MAX_GROUPS`](super::MAX_GROUPS); cells of any beyond get the group 255, which stands still. `work` has at least [`Config::motion_bytes`]; a run
    /// has room for them in its own.
    ///
    /// # Errors
    /// `Error::Missing` if the network has no [`Config::motion`]; `Error::Size` for a `previous` of another size; `Error::Length` that
    /// names the map or the buffer; `Error::TooLarge` if there are more groups than `vectors` holds: `map` is then that of the
    /// groups.
    pub fn motion(
        &self,
        frame: Frame<'_>,
        previous: Frame<'_>,
        map: &mut [u8],
        vectors: &mut [[i16; 2]],
        work: &mut [u8],
    ) -> Result<usize, Error> {
        if !self.config.motion {
            return Err(Error::Missing { what: Arg::Motion });
        }
        same_size(&frame, &previous)?;
        let want = self.config.motion_bytes(frame.width(), frame.height());
        let got = work.len();
        let Some(area) = work.get_mut(..want) else { return Err(Error::Length { what: Arg::Motion, want, got }) };
        let (rows, cols) = self.config.cells(frame.width(), frame.height());
        length(Arg::Cells, rows * cols, map.len())?;
        let groups = motion::label(map, rows, cols);
        let max = vectors.len();
        let Some(vectors) = vectors.get_mut(..groups) else {
            return Err(Error::TooLarge { what: Arg::Groups, max, got: groups });
        };
        motion::search(&self.config, &frame, &previous, map, groups, area);
        let found = Vectors::Bytes(motion::found(&frame, area));
        for (group, to) in (1..).zip(vectors) {
            *to = found.get(group).map(|v| v as i16);
        }
        Ok(groups)
    }

    /// Everything that can be wrong with a call.
    fn check(
        &self,
        frame: &Frame<'_>,
        previous: Option<&Frame<'_>>,
        policy: Policy<'_>,
        work: &Workspace<'_>,
    ) -> Result<Layout, Error> {
        let layout = Layout::new(&self.config, frame.width(), frame.height())?;
        let sizes = layout.sizes;
        let at_least = |what, want, got| if got < want { Err(Error::Length { what, want, got }) } else { Ok(()) };
        at_least(Arg::Features, sizes.features, work.features.len())?;
        at_least(Arg::Scratch, sizes.scratch, work.scratch.len())?;
        at_least(Arg::Cells, sizes.cells, work.cells.len())?;
        let own = matches!(policy, Policy::Own);
        if previous.is_none() && self.config.motion && !matches!(policy, Policy::None) {
            return Err(Error::Missing { what: Arg::Previous });
        }
        let predictors = matches!(self.config.decision, Decision::Predictors { .. });
        if previous.is_none() && own && !predictors && self.config.mask_net(false).is_none() {
            return Err(Error::Missing { what: Arg::MaskNet });
        }
        if let Some(previous) = previous {
            same_size(frame, previous)?;
            if own && self.config.mask_net(true).is_none() {
                return Err(Error::Missing { what: Arg::PreviousNet });
            }
        }
        if let Policy::Cells(map) | Policy::Groups { cells: map, .. } = policy {
            let (rows, cols) = self.config.cells(frame.width(), frame.height());
            length(Arg::Cells, rows * cols, map.len())?;
        }
        Ok(layout)
    }

    #[expect(clippy::too_many_arguments, reason = "the arguments of `run`, and two more")]
    fn run_to<D: Dispatch, W: Watch>(
        &self,
        d: D,
        frame: Frame<'_>,
        previous: Option<Frame<'_>>,
        policy: Policy<'_>,
        mut sink: Sink<'_>,
        work: &mut Workspace<'_>,
        watch: &mut W,
    ) -> Result<Stats, Error> {
        let layout = self.check(&frame, previous.as_ref(), policy, work)?;
        let sizes = layout.sizes;
        // From here on lengths are exact, and nothing fails.
        let mut work = Workspace {
            features: work.features.get_mut(..sizes.features).unwrap_or(&mut []),
            scratch: work.scratch.get_mut(..sizes.scratch).unwrap_or(&mut []),
            cells: work.cells.get_mut(..sizes.cells).unwrap_or(&mut []),
        };
        sink.start(&frame);
        let mut stats = Stats::default();
        let keep = self.decide_cells(d, &layout, &frame, previous.as_ref(), policy, &mut work, &mut stats, watch);
        for k in 0..self.config.stages() {
            stats.windows += layout.grid(k).positions() / self.config.tokens().max(1) * self.config.depth(k);
        }
        let cells = matches!(self.config.decision, Decision::Cells(_));
        let nothing = match keep {
            Keep::Cells => Level::of(&layout, 0).slice_mut(work.cells).iter().all(|&cell| cell & ACTIVE == 0),
            Keep::Lists => false,
        };
        if nothing {
            return Ok(stats);
        }
        if cells && !W::DENSE {
            cells::need(&layout, work.cells);
        } else {
            cells::need_all(&layout, work.cells);
        }
        let given = match policy {
            Policy::Groups { vectors, .. } => Some(vectors),
            _ => None,
        };
        for k in 0..self.config.stages() {
            stats.conv_macs += match previous.as_ref().filter(|_| k == 0 && self.config.motion) {
                Some(previous) => self.enter_moving(d, &layout, &frame, previous, given, &mut work),
                None => self.enter(d, &layout, k, &frame, &mut work),
            }
            .unwrap_or(0);
            if k == 0 {
                watch.in_proj(Features { grid: layout.grid(0), features: work.features });
            }
            self.stage(d, &layout, k, keep, &mut work, &mut stats, watch);
        }
        // With predictors it shows only now that nothing was active.
        if stats.active_windows > 0 {
            stats.conv_macs += self.finish(d, &layout, cells, &frame, &mut work, &mut sink);
        }
        Ok(stats)
    }

    /// Fills in the cells of all levels, as far as they are known before anything runs.
    #[expect(clippy::too_many_arguments, reason = "the state of a run")]
    fn decide_cells<D: Dispatch, W: Watch>(
        &self,
        d: D,
        layout: &Layout,
        frame: &Frame<'_>,
        previous: Option<&Frame<'_>>,
        policy: Policy<'_>,
        work: &mut Workspace<'_>,
        stats: &mut Stats,
        watch: &mut W,
    ) -> Keep {
        let level = Level::of(layout, 0);
        let predictors = matches!(self.config.decision, Decision::Predictors { .. });
        match policy {
            Policy::Own if predictors => {
                level.slice_mut(work.cells).fill(0);
            }
            Policy::Own => self.mask(d, layout, frame, previous, work, stats, watch),
            Policy::All => level.slice_mut(work.cells).fill(ACTIVE),
            Policy::None => level.slice_mut(work.cells).fill(0),
            Policy::Cells(map) | Policy::Groups { cells: map, .. } => {
                level.slice_mut(work.cells).fill(0);
                let (rows, cols) = self.config.cells(frame.width(), frame.height());
                for ((row, col), &cell) in Level::grid(rows, cols).zip(map) {
                    level.mark(work.cells, row, col, u8::from(cell != 0) * ACTIVE);
                }
            }
        }
        cells::activate(layout, work.cells);
        let (rows, cols) = self.config.cells(frame.width(), frame.height());
        stats.cells = rows * cols;
        let active = |&(row, col): &(usize, usize)| level.get(work.cells, row, col) & ACTIVE != 0;
        stats.active_cells = Level::grid(rows, cols).filter(active).count();
        if self.config.motion {
            // Active cells by now; groups are made of them later, unless they are given.
            if let Some((levels, labels, _)) = motion::area(layout, work.cells) {
                for ((row, col), label) in Level::grid(rows, cols).zip(labels.iter_mut()) {
                    *label = level.get(levels, row, col) & ACTIVE;
                }
                if let Policy::Groups { cells, .. } = policy {
                    copy(cells, labels);
                }
            }
        }
        if predictors && matches!(policy, Policy::Own) { Keep::Lists } else { Keep::Cells }
    }

    /// Runs the mask net and marks the active cells of the top level.
    #[expect(clippy::too_many_arguments, reason = "the state of a run")]
    fn mask<D: Dispatch, W: Watch>(
        &self,
        d: D,
        layout: &Layout,
        frame: &Frame<'_>,
        previous: Option<&Frame<'_>>,
        work: &mut Workspace<'_>,
        stats: &mut Stats,
        watch: &mut W,
    ) {
        let Some(net) = self.config.mask_net(previous.is_some()) else { return };
        let start = self.config.mask_start(previous.is_some());
        let weights = (&self.weights, start);
        let (logits, macs) = mask_net::logits(d, layout, net, weights, frame, previous, work.features, work.scratch);
        stats.mask_macs = macs;
        watch.cell_logits(logits);
        let level = Level::of(layout, 0);
        for (cell, &logit) in level.slice_mut(work.cells).iter_mut().zip(logits.iter()) {
            *cell = u8::from(logit > net.threshold) * ACTIVE;
        }
        cells::clear_padding(layout, work.cells);
        for _ in 0..net.dilate {
            cells::dilate(layout, work.cells);
        }
        cells::clear_padding(layout, work.cells);
    }

    /// The first convolution where it sees samples along the motion, which is found first unless it is `given`.
    fn enter_moving<D: Dispatch>(
        &self,
        d: D,
        layout: &Layout,
        frame: &Frame<'_>,
        previous: &Frame<'_>,
        given: Option<&[[i16; 2]]>,
        work: &mut Workspace<'_>,
    ) -> Option<u64> {
        let (rows, cols) = self.config.cells(frame.width(), frame.height());
        let (cells, labels, area) = motion::area(layout, work.cells)?;
        if given.is_none() {
            let groups = motion::label(labels, rows, cols);
            motion::search(&self.config, frame, previous, labels, groups, area);
        }
        let vectors = given.map_or(Vectors::Bytes(motion::found(frame, area)), Vectors::Given);
        let moving = Moving { previous, labels, cells: (rows, cols), vectors, shutter: self.shutter.into() };
        let to = layout.grid(0);
        let half = (self.config.window / 2).max(1);
        let level = Level::of(layout, 0);
        let needed = |y: usize, x: usize| level.get(cells, y / half, x / half) & ENCODED != 0;
        let slope = self.config.in_slope;
        let features = &mut *work.features;
        let convs = (self.weights.conv(self.config.motion_start()), self.weights.conv(self.config.in_start()));
        motion::in_proj(d, layout, convs, frame, &moving, cells, work.scratch, needed, |(y, x), result| {
            for v in result.iter_mut() {
                *v = if *v < 0.0 { *v * slope } else { *v };
            }
            copy(result, to.get_mut(features, y, x));
        })
    }

    /// The convolution that leads to stage `k`.
    fn enter<D: Dispatch>(
        &self,
        d: D,
        layout: &Layout,
        k: usize,
        frame: &Frame<'_>,
        work: &mut Workspace<'_>,
    ) -> Option<u64> {
        let to = layout.grid(k);
        let half = self.config.window / 2;
        let level = Level::of(layout, self.config.level(k));
        let (cells, scratch) = (&*work.cells, &mut *work.scratch);
        let needed =
            |flag: u8| move |&(y, x): &(usize, usize)| level.get(cells, y / half.max(1), x / half.max(1)) & flag != 0;
        if k == 0 {
            let conv = self.weights.conv(self.config.in_start());
            let (s, slope) = (self.config.space_to_depth, self.config.in_slope);
            let features = &mut *work.features;
            return Some(conv.run(
                d,
                scratch,
                to.iter().filter(needed(ENCODED)),
                |(y, x), patch| image_patch(frame, &to, s, y, x, patch),
                |(y, x), result| {
                    for v in result.iter_mut() {
                        *v = if *v < 0.0 { *v * slope } else { *v };
                    }
                    copy(result, to.get_mut(features, y, x));
                },
            ));
        }
        let from = layout.grid(k - 1);
        let conv = self.weights.conv(self.config.stage_start(k));
        if !self.config.is_decoder(k) {
            // The level below lies behind the one above.
            let (above, below) = work.features.split_at_mut_checked(to.start)?;
            let to = Grid { start: 0, ..to };
            let side = self.config.down_kernel;
            let border = (side - 2) / 2;
            return Some(conv.run(
                d,
                scratch,
                to.iter().filter(needed(ENCODED)),
                |(y, x), patch| feature_patch(&from, above, (2 * y, 2 * x), border, side, patch),
                |(y, x), result| copy(result, to.get_mut(below, y, x)),
            ));
        }
        let (above, below) = work.features.split_at_mut_checked(from.start)?;
        let from = Grid { start: 0, ..from };
        let add_skip = matches!(self.config.skip, super::config::Skip::Add);
        let (inputs, outputs) = (from.channels, conv.outputs);
        let mut macs = 0;
        // One matrix for each of the four positions that a position below becomes.
        for (corner, weight) in conv.weight.chunks_exact((inputs * outputs).max(1)).enumerate() {
            let (dy, dx) = (corner / 2, corner % 2);
            let conv = Conv { weight, bias: conv.bias, patch: inputs, outputs };
            macs += conv.run(
                d,
                scratch,
                from.iter().map(|(y, x)| (2 * y + dy, 2 * x + dx)).filter(needed(DECODED)),
                |(y, x), patch| copy(from.get(below, y / 2, x / 2), patch),
                |(y, x), result| {
                    let to = to.get_mut(above, y, x);
                    if add_skip {
                        add(result, to);
                    } else {
                        copy(result, to);
                    }
                },
            );
        }
        Some(macs)
    }

    /// The blocks of stage `k`.
    #[expect(clippy::too_many_arguments, reason = "the state of a run")]
    fn stage<D: Dispatch, W: Watch>(
        &self,
        d: D,
        layout: &Layout,
        k: usize,
        keep: Keep,
        work: &mut Workspace<'_>,
        stats: &mut Stats,
        watch: &mut W,
    ) {
        let grid = layout.grid(k);
        let side = self.config.window.max(1);
        let (rows, cols) = (grid.height / side, grid.width / side);
        let level = Level::of(layout, self.config.level(k));
        for b in 0..self.config.depth(k) {
            let shifted = b % 2 == 1;
            if matches!(keep, Keep::Lists) && b < self.config.predictors(k) {
                let macs = self.predict(d, layout, k, b, work, watch);
                stats.predictor_macs += macs.unwrap_or(0);
            }
            let list = list(layout, shifted);
            let Some(block) = Block::new(&self.config, &self.weights, k, b) else { return };
            for i in 0..rows * cols {
                let i = if W::REVERSE { rows * cols - 1 - i } else { i };
                let (y, x) = (i / cols.max(1), i % cols.max(1));
                let active = match keep {
                    Keep::Cells => level.window_active(work.cells, (y, x), shifted),
                    Keep::Lists => work.cells.get(list + i).is_some_and(|&keep| keep != 0),
                };
                watch.window(k, b, active);
                if active {
                    let window = Window { y, x, shifted, side };
                    stats.active_windows += 1;
                    stats.window_macs += block.run(d, window, &grid, work.features, work.scratch).unwrap_or(0);
                }
            }
            watch.block(k, b, Features { grid, features: work.features });
        }
    }

    /// Runs predictor `b` of stage `k` and fills its list.
    fn predict<D: Dispatch, W: Watch>(
        &self,
        d: D,
        layout: &Layout,
        k: usize,
        b: usize,
        work: &mut Workspace<'_>,
        watch: &mut W,
    ) -> Option<u64> {
        let Decision::Predictors { beta } = self.config.decision else { return None };
        let predictor = Predictor::new(&self.config, &self.weights, k, b)?;
        let grid = layout.grid(k);
        let side = self.config.window.max(1);
        let shift = if b % 2 == 1 { side / 2 } else { 0 };
        let cols = grid.width / side;
        let windows = grid.positions() / self.config.tokens().max(1);
        let (features, rest) = work.features.split_at_mut_checked(layout.features_end())?;
        let (local, rest) = rest.split_at_mut_checked(grid.positions() * (grid.channels / 2))?;
        let sums = rest.get_mut(..windows)?;
        sums.fill(0.0);
        let macs = predictor.run(d, &grid, features, local, work.scratch, |y, x, logits| {
            watch.predictor(k, b, y, x, logits);
            // The position's place on the rolled map.
            let rolled = |at: usize, length: usize| if at < shift { at + length - shift } else { at - shift };
            let window = rolled(y, grid.height) / side * cols + rolled(x, grid.width) / side;
            if let Some(sum) = sums.get_mut(window) {
                *sum += logits[0] - logits[1];
            }
        })?;

        let threshold = libm::logf(beta / (1.0 - beta)) * self.config.tokens() as f32;
        let scale = self.config.space_to_depth << self.config.level(k);
        let keeps = work.cells.get_mut(list(layout, b % 2 == 1)..)?;
        for (i, (keep, &sum)) in keeps.iter_mut().zip(sums.iter()).enumerate() {
            let window = Window { y: i / cols.max(1), x: i % cols.max(1), shifted: b % 2 == 1, side };
            let inside = || window.positions(&grid).any(|(y, x)| y * scale < layout.height && x * scale < layout.width);
            *keep = u8::from(sum > threshold && inside());
        }
        Some(macs)
    }

    /// The last convolution: adds the residual to the picture.
    fn finish<D: Dispatch>(
        &self,
        d: D,
        layout: &Layout,
        masked: bool,
        frame: &Frame<'_>,
        work: &mut Workspace<'_>,
        sink: &mut Sink<'_>,
    ) -> u64 {
        let k = self.config.stages() - 1;
        let grid = layout.grid(k);
        let s = self.config.space_to_depth;
        let level = Level::of(layout, 0);
        let half = (self.config.window / 2).max(1);
        let (cells, features) = (&*work.cells, &*work.features);
        let written = |&(y, x): &(usize, usize)| {
            y * s < layout.height
                && x * s < layout.width
                && (!masked || level.get(cells, y / half, x / half) & ACTIVE != 0)
        };
        let conv = self.weights.conv(self.config.stage_start(k + 1));
        conv.run(
            d,
            work.scratch,
            grid.iter().filter(written),
            |(y, x), patch| feature_patch(&grid, features, (y, x), 1, 3, patch),
            |(y, x), result| {
                let Some((residual, gate)) = result.split_at_mut_checked(3 * s * s) else { return };
                for (i, (dy, dx)) in (0..s).flat_map(|dy| (0..s).map(move |dx| (dy, dx))).enumerate() {
                    let (py, px) = (y * s + dy, x * s + dx);
                    if py >= layout.height || px >= layout.width {
                        continue;
                    }
                    let gate = gate.get(i).map_or(1.0, |&g| {
                        let open = sigmoid(Scalar, g);
                        if open > GATE_FLOOR { open } else { GATE_FLOOR }
                    });
                    let pixel = frame.pixel(py, px);
                    let mut values = [0.0; 3];
                    for ((value, &before), residual) in
                        values.iter_mut().zip(&pixel).zip(residual.iter().skip(i).step_by((s * s).max(1)))
                    {
                        *value = f32::from(before) / 255.0 + residual * gate;
                    }
                    sink.put((py * layout.width + px) * 3, values);
                }
            },
        )
    }
}

impl Sink<'_> {
    /// The output of a run that changes nothing.
    fn start(&mut self, frame: &Frame<'_>) {
        match self {
            Self::U8(out) => {
                for (to, from) in out.chunks_exact_mut((frame.width() * 3).max(1)).zip(frame.rows()) {
                    copy(from, to);
                }
            }
            Self::F32(out) => {
                for (to, &from) in out.iter_mut().zip(frame.rows().flatten()) {
                    *to = f32::from(from) / 255.0;
                }
            }
        }
    }

    /// Writes a pixel; bytes are rounded half up.
    #[inline]
    fn put(&mut self, at: usize, values: [f32; 3]) {
        match self {
            Self::U8(out) => {
                for (to, value) in out.iter_mut().skip(at).zip(values) {
                    // The cast clamps, and makes 0 of NaN.
                    *to = (value * 255.0 + 0.5) as u8;
                }
            }
            Self::F32(out) => {
                for (to, value) in out.iter_mut().skip(at).zip(values) {
                    *to = value;
                }
            }
        }
    }
}

fn same_size(frame: &Frame<'_>, previous: &Frame<'_>) -> Result<(), Error> {
    let (want, got) = ([frame.width(), frame.height()], [previous.width(), previous.height()]);
    if want == got { Ok(()) } else { Err(Error::Size { what: Arg::Previous, want, got }) }
}

/// Where the predictors' decisions start, behind the cells: a list for the plain grid, then one for the shifted.
fn list(layout: &Layout, shifted: bool) -> usize {
    let plain = Level::of(layout, layout.config.levels - 1).end();
    if shifted { plain + layout.grid(0).positions() / layout.config.tokens().max(1) } else { plain }
}

/// The 3x3 neighbourhood of a position of the space-to-depth image: zeros outside the padded image.
fn image_patch(frame: &Frame<'_>, grid: &Grid, s: usize, y: usize, x: usize, patch: &mut [f32]) {
    for (i, tap) in patch.chunks_exact_mut((3 * s * s).max(1)).enumerate() {
        let (ty, tx) = (y + i / 3, x + i % 3); // one further than the position, so that nothing is negative
        if !(1..=grid.height).contains(&ty) || !(1..=grid.width).contains(&tx) {
            tap.fill(0.0);
            continue;
        }
        motion::unshuffle(frame, s, ty - 1, tx - 1, tap);
    }
}

/// The `side x side` neighbourhood that starts `border` before `top_left`: zeros outside the grid.
fn feature_patch(
    grid: &Grid,
    features: &[f32],
    top_left: (usize, usize),
    border: usize,
    side: usize,
    patch: &mut [f32],
) {
    for (i, tap) in patch.chunks_exact_mut(grid.channels.max(1)).enumerate() {
        let (ty, tx) = (top_left.0 + i / side.max(1), top_left.1 + i % side.max(1));
        if (border..border + grid.height).contains(&ty) && (border..border + grid.width).contains(&tx) {
            copy(grid.get(features, ty - border, tx - border), tap);
        } else {
            tap.fill(0.0);
        }
    }
}
