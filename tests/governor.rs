//! The governor with predictions and measurements at the ends of their range: a correction is 2^-8 to 2^8, nothing
//! wraps, and each kind of cost has its own.

use scrimp::bits::{Cost, Governor, Ladder, Pareto, Step, Width};
use scrimp::error::{Arg, Error, Rule};

const fn cost(cycles: u32, bytes: u32, energy: u32) -> Cost {
    Cost { cycles, bytes, energy }
}

/// At a plan that is predicted to cost this.
fn at(predicted: Cost) -> Governor<'static> {
    Governor::with_ladder(Ladder::new(&[Width::W8], predicted, &[]).unwrap())
}

fn cycles_after(predicted: u32, measured: u32) -> u32 {
    let mut governor = at(cost(predicted, 5, 7));
    governor.measured_cycles(measured);
    assert_eq!((governor.cost().bytes, governor.cost().energy), (5, 7), "only the cycles were measured");
    governor.cost().cycles
}

fn energy_after(predicted: u32, measured: u32) -> u32 {
    let mut governor = at(cost(7, 5, predicted));
    governor.measured_energy(measured);
    assert_eq!((governor.cost().bytes, governor.cost().cycles), (5, 7), "only the energy was measured");
    governor.cost().energy
}

#[test]
fn a_correction_ends_at_2_to_the_8_on_either_side() {
    for after in [cycles_after, energy_after] {
        // Predicted, measured, what is then expected of the same plan.
        for (predicted, measured, want) in [
            (1000, 1000, 1000),
            (1000, 1500, 1500),
            (1000, 0, 3),
            (1000, 1, 3),
            (25_600, 99, 100),
            (25_600, 100, 100),
            (25_600, 101, 101),
            (1000, 255_999, 255_999),
            (1000, 256_000, 256_000),
            (1000, 256_001, 256_000),
            (1000, u32::MAX, 256_000),
            (1, u32::MAX, 256),
            (u32::MAX, u32::MAX, u32::MAX),
            (u32::MAX, 0, u32::MAX >> 8),
            (1 << 24, u32::MAX, u32::MAX - 255),
            (u32::MAX / 2, u32::MAX, u32::MAX),
        ] {
            let got = after(predicted, measured);
            // The quotient is cut to 16 bits of fraction.
            let cut = predicted.div_ceil(1 << 16);
            assert!(got <= want && want - got <= cut, "{predicted} predicted, {measured} measured: {got}, not {want}");
        }
    }
}

#[test]
fn without_a_prediction_nothing_is_corrected() {
    let mut governor = at(cost(0, 0, 0));
    governor.measured_cycles(u32::MAX);
    governor.measured_energy(u32::MAX);
    assert_eq!(governor.cost(), cost(0, 0, 0));
    // The correction is 1, as a plan with a prediction shows.
    let widths = [Width::W8, Width::W4];
    let costs = [cost(10, 20, 30), cost(0, 0, 0)];
    let mut governor = Governor::with_pareto(Pareto::new(1, &widths, &costs).unwrap());
    assert!(governor.choose(cost(0, 0, 0)) && governor.position() == 1);
    governor.measured_cycles(u32::MAX);
    governor.measured_energy(0);
    for (most, position) in [(cost(10, 20, 30), 0), (cost(9, 20, 30), 1), (cost(10, 19, 30), 1), (cost(10, 20, 29), 1)]
    {
        assert!(governor.choose(most));
        assert_eq!((governor.position(), governor.cost()), (position, costs[position]));
    }
}

#[test]
fn a_corrected_cost_saturates_and_only_an_unlimited_budget_takes_it() {
    let mut governor = at(cost(u32::MAX, 0, u32::MAX));
    governor.measured_cycles(u32::MAX);
    governor.measured_energy(u32::MAX);
    assert!(governor.choose(Cost::UNLIMITED));
    assert!(!governor.choose(cost(u32::MAX - 1, u32::MAX, u32::MAX)));
    assert!(!governor.choose(cost(u32::MAX, u32::MAX, u32::MAX - 1)));
    // Now 256 times as much as predicted, which no u32 holds.
    let mut governor = at(cost(1 << 16, 0, 1 << 16));
    governor.measured_cycles(u32::MAX);
    governor.measured_energy(u32::MAX);
    assert_eq!(governor.cost(), cost(1 << 24, 0, 1 << 24));
    let steps = [Step { layer: 0, from: Width::W8, to: Width::W2, saved: cost(u32::MAX, u32::MAX, u32::MAX) }];
    let mut governor = Governor::with_ladder(Ladder::new(&[Width::W8], cost(1 << 26, 9, 1 << 26), &steps).unwrap());
    governor.measured_cycles(u32::MAX);
    assert_eq!(governor.cost().cycles, u32::MAX - 1023, "64 times, but for the cut");
    // More is saved than there was: nothing is left, and nothing wraps.
    assert_eq!(governor.step_down(), Some((0, Width::W2)));
    assert_eq!(governor.cost(), cost(0, 0, 0));
    assert_eq!(governor.step_up(), Some((0, Width::W8)));
    assert_eq!(governor.cost(), cost(u32::MAX, u32::MAX, u32::MAX));
    assert_eq!(governor.step_up(), None);
}

#[test]
fn each_kind_of_cost_counts() {
    let steps = [
        Step { layer: 0, from: Width::W8, to: Width::W6, saved: cost(1, 10, 100) },
        Step { layer: 1, from: Width::W8, to: Width::W4, saved: cost(2, 20, 200) },
        Step { layer: 0, from: Width::W6, to: Width::W4, saved: cost(4, 40, 400) },
    ];
    let top = [Width::W8, Width::W8];
    let mut governor = Governor::with_ladder(Ladder::new(&top, cost(50, 500, 5000), &steps).unwrap());
    for (most, position, fits) in [
        (cost(50, 500, 5000), 0, true),
        (cost(49, 500, 5000), 1, true),
        (cost(50, 489, 5000), 2, true),
        (cost(50, 500, 4899), 2, true),
        (cost(50, 470, 5000), 2, true),
        (cost(46, 500, 5000), 3, true),
        (cost(43, 430, 4300), 3, true),
        (cost(42, 430, 4300), 3, false),
        (cost(43, 429, 4300), 3, false),
        (cost(43, 430, 4299), 3, false),
        (Cost::UNLIMITED, 0, true),
    ] {
        assert_eq!((governor.choose(most), governor.position()), (fits, position), "{most:?}");
    }
    // Down and up again, step by step, with what each step gives.
    let mut costs = vec![governor.cost()];
    for (i, want) in [(0, Width::W6), (1, Width::W4), (0, Width::W4)].into_iter().enumerate() {
        assert_eq!((governor.step_down(), governor.position()), (Some(want), i + 1));
        assert_eq!(governor.width(want.0), Some(want.1));
        costs.push(governor.cost());
    }
    assert_eq!(costs, [cost(50, 500, 5000), cost(49, 490, 4900), cost(47, 470, 4700), cost(43, 430, 4300)]);
    assert_eq!((governor.step_down(), governor.position()), (None, 3));
    for (i, want) in [(0, Width::W6), (1, Width::W8), (0, Width::W8)].into_iter().enumerate() {
        assert_eq!((governor.step_up(), governor.position()), (Some(want), 2 - i));
        assert_eq!((governor.width(want.0), governor.cost()), (Some(want.1), costs[2 - i]));
    }
    assert_eq!((governor.step_up(), governor.position()), (None, 0));
    assert_eq!((governor.width(1), governor.width(2)), (Some(Width::W8), None));
}

#[test]
fn a_table_takes_the_first_plan_within_the_budget_or_the_last() {
    let widths = [Width::W8, Width::W7, Width::W6, Width::W5, Width::W4, Width::W3];
    let costs = [cost(30, 1, 1), cost(20, 1, 1), cost(10, 1, 1)];
    let mut governor = Governor::with_pareto(Pareto::new(2, &widths, &costs).unwrap());
    assert_eq!((governor.position(), governor.cost()), (0, costs[0]));
    for (most, plan, fits) in [(30, 0, true), (29, 1, true), (20, 1, true), (19, 2, true), (10, 2, true), (9, 2, false)]
    {
        assert_eq!(governor.choose(Cost { cycles: most, ..Cost::UNLIMITED }), fits, "{most}");
        assert_eq!((governor.position(), governor.cost()), (plan, costs[plan]));
        assert_eq!([0, 1].map(|layer| governor.width(layer)), [Some(widths[2 * plan]), Some(widths[2 * plan + 1])]);
        assert_eq!((governor.width(2), governor.width(usize::MAX)), (None, None));
        assert_eq!((governor.step_down(), governor.step_up()), (None, None));
    }
    // A measurement moves all plans.
    assert!(!governor.choose(Cost { cycles: 9, ..Cost::UNLIMITED }));
    governor.measured_cycles(5);
    assert!(governor.choose(Cost { cycles: 10, ..Cost::UNLIMITED }));
    assert_eq!((governor.position(), governor.cost().cycles), (1, 10));
}

#[test]
fn plans_and_steps_that_fit_nothing_are_refused() {
    let (w, c) = ([Width::W8; 6], [cost(1, 1, 1); 3]);
    assert_eq!(Pareto::new(0, &w, &c).map(drop), Err(Error::Empty { what: Arg::Layers }));
    assert_eq!(Pareto::new(2, &w, &[]).map(drop), Err(Error::Empty { what: Arg::Plans }));
    for got in [0, 5] {
        assert_eq!(Pareto::new(2, &w[..got], &c).map(drop), Err(Error::Length { what: Arg::Plans, want: 6, got }));
    }
    let want = usize::MAX; // saturated
    assert_eq!(Pareto::new(want, &w, &c).map(drop), Err(Error::Length { what: Arg::Plans, want, got: 6 }));
    assert!(Pareto::new(2, &w, &c).is_ok());

    let bad = Err(Error::Config { what: Rule::Ladder });
    let step = |layer, from, to| Step { layer, from, to, saved: cost(0, 0, 0) };
    let ladder = |steps: &[Step]| Ladder::new(&[Width::W8, Width::W6], cost(0, 0, 0), steps).map(drop);
    assert_eq!(Ladder::new(&[], cost(0, 0, 0), &[]).map(drop), Err(Error::Empty { what: Arg::Layers }));
    assert_eq!(
        ladder(&[step(1, Width::W6, Width::W5), step(0, Width::W8, Width::W2), step(1, Width::W5, Width::W4)]),
        Ok(())
    );
    assert_eq!(ladder(&[step(2, Width::W8, Width::W4)]), bad, "no such layer");
    assert_eq!(ladder(&[step(u16::MAX, Width::W8, Width::W4)]), bad, "no such layer");
    assert_eq!(ladder(&[step(1, Width::W8, Width::W4)]), bad, "it is not there");
    assert_eq!(ladder(&[step(0, Width::W8, Width::W8)]), bad, "no step");
    assert_eq!(ladder(&[step(1, Width::W6, Width::W7)]), bad, "up");
    assert_eq!(ladder(&[step(0, Width::W8, Width::W4), step(0, Width::W8, Width::W3)]), bad, "it has left it");
    assert_eq!(ladder(&[step(0, Width::W8, Width::W4), step(1, Width::W6, Width::W6)]), bad, "the second is looked at");
}
