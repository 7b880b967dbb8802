//! One byte a cell and level: whether it is active, and which features something will read.
//!
//! Cells are half a window wide, so that the windows of the plain and of the shifted grid are both made of 2x2 cells. A
//! cell of level `l` is active if one of its 2x2 cells of level `l - 1` is.

use super::layout::Layout;

/// The cell is active.
pub(crate) const ACTIVE: u8 = 1;
/// The encoder's features of the cell are read by something.
pub(crate) const ENCODED: u8 = 2;
/// The decoder's features of the cell are read by something.
pub(crate) const DECODED: u8 = 4;

/// The cells of one level.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    start: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
}

impl Level {
    pub(crate) fn of(layout: &Layout, level: usize) -> Self {
        let start = (0..level).map(|l| layout.cell_grid(l)).map(|(rows, cols)| rows * cols).sum();
        let (rows, cols) = layout.cell_grid(level);
        Self { start, rows, cols }
    }

    /// Where the level after this one starts.
    pub(crate) const fn end(&self) -> usize {
        self.start + self.rows * self.cols
    }

    /// The flags of a cell; rows and columns wrap round.
    #[inline(always)]
    pub(crate) fn get(&self, cells: &[u8], row: usize, col: usize) -> u8 {
        cells.get(self.index(row, col)).copied().unwrap_or(0)
    }

    #[inline(always)]
    pub(crate) fn mark(&self, cells: &mut [u8], row: usize, col: usize, flags: u8) {
        if let Some(cell) = cells.get_mut(self.index(row, col)) {
            *cell |= flags;
        }
    }

    #[inline(always)]
    const fn index(&self, row: usize, col: usize) -> usize {
        let row = if row >= self.rows { row - self.rows } else { row };
        let col = if col >= self.cols { col - self.cols } else { col };
        self.start + row * self.cols + col
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        Self::grid(self.rows, self.cols)
    }

    /// Rows and columns in order.
    pub(crate) fn grid(rows: usize, cols: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..rows).flat_map(move |row| (0..cols).map(move |col| (row, col)))
    }

    pub(crate) fn slice_mut<'c>(&self, cells: &'c mut [u8]) -> &'c mut [u8] {
        cells.get_mut(self.start..self.end()).unwrap_or(&mut [])
    }

    /// Whether one of the four cells of a window is active.
    #[inline]
    pub(crate) fn window_active(&self, cells: &[u8], window: (usize, usize), shifted: bool) -> bool {
        corners(window, shifted).into_iter().any(|(row, col)| self.get(cells, row, col) & ACTIVE != 0)
    }
}

/// The four cells of a window; the shifted grid starts one cell further down and right.
fn corners((wy, wx): (usize, usize), shifted: bool) -> [(usize, usize); 4] {
    let (row, col) = (2 * wy + usize::from(shifted), 2 * wx + usize::from(shifted));
    [(row, col), (row, col + 1), (row + 1, col), (row + 1, col + 1)]
}

/// Grows the active cells of the top level by one on all sides, without wrapping.
pub(crate) fn dilate(layout: &Layout, cells: &mut [u8]) {
    const GROWN: u8 = 0x80;
    let level = Level::of(layout, 0);
    spread(level, cells, ACTIVE, GROWN);
    for cell in level.slice_mut(cells) {
        *cell = u8::from(*cell & (ACTIVE | GROWN) != 0);
    }
}

/// Marks `to` in the cells round each one that has `from`, and in that one.
fn spread(level: Level, cells: &mut [u8], from: u8, to: u8) {
    for (row, col) in level.iter() {
        if level.get(cells, row, col) & from == 0 {
            continue;
        }
        for r in row.saturating_sub(1)..=(row + 1).min(level.rows - 1) {
            for c in col.saturating_sub(1)..=(col + 1).min(level.cols - 1) {
                level.mark(cells, r, c, to);
            }
        }
    }
}

/// Makes cells inactive whose pixels all lie outside the image.
pub(crate) fn clear_padding(layout: &Layout, cells: &mut [u8]) {
    let level = Level::of(layout, 0);
    let side = layout.config.cell();
    for ((row, col), cell) in level.iter().zip(level.slice_mut(cells)) {
        if row * side >= layout.height || col * side >= layout.width {
            *cell = 0;
        }
    }
}

/// From the active cells of the top level, fills in those of all others.
pub(crate) fn activate(layout: &Layout, cells: &mut [u8]) {
    for l in 1..layout.config.levels {
        let (above, level) = (Level::of(layout, l - 1), Level::of(layout, l));
        level.slice_mut(cells).fill(0);
        for (row, col) in above.iter() {
            let active = above.get(cells, row, col) & ACTIVE;
            level.mark(cells, row / 2, col / 2, active);
        }
    }
}

/// Marks every feature as needed: what a net without cells does.
pub(crate) fn need_all(layout: &Layout, cells: &mut [u8]) {
    for cell in cells.iter_mut().take(Level::of(layout, layout.config.levels - 1).end()) {
        *cell |= ENCODED | DECODED;
    }
}

/// Marks which features the active windows, and the last convolution in active cells, will read; [`activate`] ran.
///
/// Downwards through the decoders: a position above needs the one below that it came from. Then upwards through the
/// encoders: a skip needs its encoder, a strided convolution the four (or sixteen) positions that it reads.
pub(crate) fn need(layout: &Layout, cells: &mut [u8]) {
    let config = &layout.config;
    let bottom = config.levels - 1;
    // The last convolution looks one position beyond the active cells.
    spread(Level::of(layout, 0), cells, ACTIVE, DECODED);
    for l in 0..=bottom {
        let level = Level::of(layout, l);
        let decoder = 2 * config.levels - 2 - l; // the bottleneck is its own
        touch(level, cells, config.depth(decoder), DECODED);
        if l < bottom {
            let below = Level::of(layout, l + 1);
            for (row, col) in level.iter() {
                if level.get(cells, row, col) & DECODED != 0 {
                    below.mark(cells, row / 2, col / 2, DECODED);
                }
            }
        }
    }
    for l in (0..=bottom).rev() {
        let level = Level::of(layout, l);
        touch(level, cells, config.depth(l), ENCODED);
        for cell in level.slice_mut(cells) {
            if *cell & DECODED != 0 {
                *cell |= ENCODED;
            }
        }
        if l < bottom {
            const READ: u8 = 0x80;
            let below = Level::of(layout, l + 1);
            for (row, col) in level.iter() {
                if below.get(cells, row / 2, col / 2) & ENCODED != 0 {
                    level.mark(cells, row, col, READ | ENCODED);
                }
            }
            if config.down_kernel == 4 {
                spread(level, cells, READ, ENCODED);
            }
            for cell in level.slice_mut(cells) {
                *cell &= !READ;
            }
        }
    }
}

/// Marks the cells of all active windows of a stage.
fn touch(level: Level, cells: &mut [u8], depth: usize, flag: u8) {
    for shifted in [false, true].into_iter().take(depth) {
        for window in (0..level.rows / 2).flat_map(|wy| (0..level.cols / 2).map(move |wx| (wy, wx))) {
            if level.window_active(cells, window, shifted) {
                for (row, col) in corners(window, shifted) {
                    level.mark(cells, row, col, flag);
                }
            }
        }
    }
}
