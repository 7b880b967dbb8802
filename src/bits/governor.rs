//! Which layer runs at which width, so that an inference keeps to a budget of cycles, flash bytes or energy.
//!
//! The sensitivities (Hessian traces or measured errors; arXiv 2502.01199, section 3.4, solves an integer programme with
//! them) stay on the host. What comes to the device is either a table of whole plans, [`Pareto`], or one greedy
//! [`Ladder`] of single steps, "this layer one width down", in the order of error per saving; then the state is one number and any budget
//! is met by a prefix. Costs are predictions; what is measured corrects them.

use super::width::Width;
use crate::error::{Arg, Error, Rule};

/// What one inference costs, or a step saves, in units of the firmware's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cost {
    /// Cycles, or any unit of time.
    pub cycles: u32,
    /// Bytes of flash that are read.
    pub bytes: u32,
    /// Energy.
    pub energy: u32,
}

impl Cost {
    const fn less(self, by: Self) -> Self {
        Self {
            cycles: self.cycles.saturating_sub(by.cycles),
            bytes: self.bytes.saturating_sub(by.bytes),
            energy: self.energy.saturating_sub(by.energy),
        }
    }

    const fn plus(self, by: Self) -> Self {
        Self {
            cycles: self.cycles.saturating_add(by.cycles),
            bytes: self.bytes.saturating_add(by.bytes),
            energy: self.energy.saturating_add(by.energy),
        }
    }

    const fn is_within(self, most: Self) -> bool {
        self.cycles <= most.cycles && self.bytes <= most.bytes && self.energy <= most.energy
    }
}

/// Whole plans, the most accurate first.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pareto<'a> {
    widths: &'a [Width],
    costs: &'a [Cost],
    layers: usize,
}

impl<'a> Pareto<'a> {
    /// Plan `p` gives layer `l` the width `widths[p * layers + l]` and is predicted to cost `costs[p]`.
    ///
    /// # Errors
    /// `Error::Empty` without a layer or plan, `Error::Length` unless there are `plans x layers` widths.
    pub const fn new(layers: usize, widths: &'a [Width], costs: &'a [Cost]) -> Result<Self, Error> {
        if layers == 0 {
            return Err(Error::Empty { what: Arg::Layers });
        }
        if costs.is_empty() {
            return Err(Error::Empty { what: Arg::Plans });
        }
        let want = layers.saturating_mul(costs.len());
        if widths.len() != want {
            return Err(Error::Length { what: Arg::Plans, want, got: widths.len() });
        }
        Ok(Self { widths, costs, layers })
    }
}

/// One layer from one width to a narrower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Step {
    /// The layer.
    pub layer: u16,
    /// Its width before.
    pub from: Width,
    /// Its width after.
    pub to: Width,
    /// What that is predicted to save.
    pub saved: Cost,
}

/// Single steps, the one that costs least accuracy for what it saves first.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ladder<'a> {
    top: &'a [Width],
    cost: Cost,
    steps: &'a [Step],
}

impl<'a> Ladder<'a> {
    /// From the widths `top`, one a layer, which are predicted to cost `cost`, down the `steps`.
    ///
    /// # Errors
    /// `Error::Empty` without a layer; `Error::Config` if a step names no layer, does not start at the width that the
    /// steps before it left, or does not lead down.
    pub const fn new(top: &'a [Width], cost: Cost, steps: &'a [Step]) -> Result<Self, Error> {
        if top.is_empty() {
            return Err(Error::Empty { what: Arg::Layers });
        }
        let ladder = Self { top, cost, steps };
        let mut i = 0;
        while i < steps.len() {
            let Step { layer, from, to, .. } = steps[i];
            match ladder.width(layer as usize, i) {
                Some(width) if width.bits() == from.bits() && to.bits() < from.bits() => {}
                _ => return Err(Error::Config { what: Rule::Ladder }),
            }
            i += 1;
        }
        Ok(ladder)
    }

    /// The width of a layer after `taken` steps.
    const fn width(&self, layer: usize, taken: usize) -> Option<Width> {
        if layer >= self.top.len() {
            return None;
        }
        let mut width = self.top[layer];
        let mut i = 0;
        while i < taken && i < self.steps.len() {
            if self.steps[i].layer as usize == layer {
                width = self.steps[i].to;
            }
            i += 1;
        }
        Some(width)
    }
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Plans<'a> {
    Pareto(Pareto<'a>),
    Ladder(Ladder<'a>),
}

/// Corrections are in units of 2^-16.
const ONE: u32 = 1 << 16;

/// Chooses among plans by a budget. Widths change between inferences, nothing is copied, and going back loses nothing.
///
/// # Example
/// ```
/// use scrimp::bits::{Cost, Governor, Ladder, Step, Width};
/// const fn cycles(cycles: u32) -> Cost { Cost { cycles, bytes: 0, energy: 0 } }
/// static STEPS: [Step; 2] = [
///     Step { layer: 1, from: Width::W8, to: Width::W4, saved: cycles(300) },
///     Step { layer: 0, from: Width::W8, to: Width::W6, saved: cycles(100) },
/// ];
/// let ladder = Ladder::new(&[Width::W8, Width::W8], cycles(1000), &STEPS)?;
/// let mut governor = Governor::with_ladder(ladder);
/// assert!(governor.choose(Cost { cycles: 800, ..Cost::UNLIMITED }));
/// assert_eq!((governor.width(0), governor.width(1)), (Some(Width::W8), Some(Width::W4)));
/// governor.measured_cycles(840); // 20 % more than predicted
/// assert!(governor.choose(Cost { cycles: 800, ..Cost::UNLIMITED }));
/// assert_eq!(governor.width(0), Some(Width::W6));
/// # Ok::<(), scrimp::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Governor<'a> {
    plans: Plans<'a>,
    /// The plan, or the number of steps taken.
    at: usize,
    /// What the plan is predicted to cost.
    cost: Cost,
    /// Measured to predicted.
    cycles: u32,
    energy: u32,
}

impl Cost {
    /// A budget that everything is within.
    pub const UNLIMITED: Self = Self { cycles: u32::MAX, bytes: u32::MAX, energy: u32::MAX };
}

impl<'a> Governor<'a> {
    /// At the first plan of a table.
    #[must_use]
    pub const fn with_pareto(plans: Pareto<'a>) -> Self {
        let cost = if plans.costs.is_empty() { Cost::UNLIMITED } else { plans.costs[0] };
        Self { plans: Plans::Pareto(plans), at: 0, cost, cycles: ONE, energy: ONE }
    }

    /// At the top of a ladder.
    #[must_use]
    pub const fn with_ladder(ladder: Ladder<'a>) -> Self {
        Self { cost: ladder.cost, plans: Plans::Ladder(ladder), at: 0, cycles: ONE, energy: ONE }
    }

    /// The width of a layer; `None` if there is no such layer. In a table one look-up, on a ladder a walk over the steps
    /// taken: firmware that cannot afford it follows what [`Governor::step_down`] and [`Governor::step_up`] give.
    #[must_use]
    pub fn width(&self, layer: usize) -> Option<Width> {
        match &self.plans {
            Plans::Pareto(plans) if layer < plans.layers => {
                plans.widths.get(self.at.wrapping_mul(plans.layers).wrapping_add(layer)).copied()
            }
            Plans::Pareto(_) => None,
            Plans::Ladder(ladder) => ladder.width(layer, self.at),
        }
    }

    /// What the plan costs, by what was predicted and measured.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        self.corrected(self.cost)
    }

    /// The plan's number, or the number of steps taken.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Takes the most accurate plan within the budget, and says whether there is one; else the last plan is taken.
    pub fn choose(&mut self, most: Cost) -> bool {
        let (mut at, mut cost) = (0, Cost::UNLIMITED);
        match self.plans {
            Plans::Pareto(plans) => {
                for (plan, &predicted) in plans.costs.iter().enumerate() {
                    (at, cost) = (plan, predicted);
                    if self.corrected(cost).is_within(most) {
                        break;
                    }
                }
            }
            Plans::Ladder(ladder) => {
                cost = ladder.cost;
                for step in ladder.steps {
                    if self.corrected(cost).is_within(most) {
                        break;
                    }
                    cost = cost.less(step.saved);
                    at += 1;
                }
            }
        }
        (self.at, self.cost) = (at, cost);
        self.corrected(cost).is_within(most)
    }

    /// One step down the ladder: which layer now has which width. `None` at its end, and for a table. O(1).
    pub fn step_down(&mut self) -> Option<(usize, Width)> {
        let Plans::Ladder(ladder) = &self.plans else { return None };
        let step = ladder.steps.get(self.at)?;
        self.cost = self.cost.less(step.saved);
        self.at += 1;
        Some((usize::from(step.layer), step.to))
    }

    /// One step up the ladder again. `None` at its top, and for a table. O(1).
    pub fn step_up(&mut self) -> Option<(usize, Width)> {
        let Plans::Ladder(ladder) = &self.plans else { return None };
        let at = self.at.checked_sub(1)?;
        let step = ladder.steps.get(at)?;
        self.cost = self.cost.plus(step.saved);
        self.at = at;
        Some((usize::from(step.layer), step.from))
    }

    /// The last inference, at the present plan, took so many cycles: predictions are scaled by it from now on.
    pub const fn measured_cycles(&mut self, cycles: u32) {
        self.cycles = ratio(cycles, self.cost.cycles);
    }

    /// The last inference, at the present plan, took so much energy.
    pub const fn measured_energy(&mut self, energy: u32) {
        self.energy = ratio(energy, self.cost.energy);
    }

    const fn corrected(&self, cost: Cost) -> Cost {
        Cost { cycles: scaled(cost.cycles, self.cycles), bytes: cost.bytes, energy: scaled(cost.energy, self.energy) }
    }
}

/// `measured / predicted`, 2^-8 to 2^8; 1 without a prediction.
const fn ratio(measured: u32, predicted: u32) -> u32 {
    match ((measured as u64) << 16).checked_div(predicted as u64) {
        None => ONE,
        Some(ratio) if ratio > (ONE as u64) << 8 => ONE << 8,
        Some(ratio) if ratio < (ONE as u64) >> 8 => ONE >> 8,
        Some(ratio) => ratio as u32,
    }
}

const fn scaled(cost: u32, by: u32) -> u32 {
    let product = (cost as u64 * by as u64) >> 16;
    if product > u32::MAX as u64 { u32::MAX } else { product as u32 }
}
