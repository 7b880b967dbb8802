//! Which layer goes down first: a multiple-choice knapsack by its Lagrangian, as one list of steps for the `Governor`.
//!
//! Each layer's choices are points (cost, error). Only the lower convex hull counts: between two of its points the error
//! rises by the slope times the cost that is saved. All steps of all hulls, sorted by slope, are the ladder: every prefix of
//! it is the best choice for its cost (the optimum of the relaxed problem, so of the knapsack at those costs).

use scrimp::bits::Width;
use serde::Serialize;

/// One width of one layer.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Choice {
    /// The width.
    #[serde(serialize_with = "bits")]
    pub width: Width,
    /// What it costs an inference, in any unit.
    pub cost: f64,
    /// What it does to the result, in any unit.
    pub error: f64,
}

/// One step down.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rung {
    /// The layer's number.
    pub layer: usize,
    /// Its width before.
    #[serde(serialize_with = "bits")]
    pub from: Width,
    /// Its width from here on.
    #[serde(serialize_with = "bits")]
    pub to: Width,
    /// What is saved.
    pub saved: f64,
    /// What the error grows by.
    pub error: f64,
}

fn bits<S: serde::Serializer>(width: &Width, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(width.bits())
}

/// The steps, the cheapest loss first; the start is each layer's dearest choice on its hull.
#[must_use]
pub fn ladder(layers: &[Vec<Choice>]) -> Vec<Rung> {
    let mut rungs: Vec<Rung> = Vec::new();
    for (layer, choices) in layers.iter().enumerate() {
        for pair in hull(choices).windows(2) {
            let (from, to) = (pair[0], pair[1]);
            rungs.push(Rung {
                layer,
                from: from.width,
                to: to.width,
                saved: from.cost - to.cost,
                error: to.error - from.error,
            });
        }
    }
    // Slopes of one hull rise, so a stable sort keeps each layer's steps in order.
    rungs.sort_by(|a, b| (a.error / a.saved).total_cmp(&(b.error / b.saved)));
    rungs
}

/// The lower convex hull, from the dearest point with the least error to the cheapest.
#[must_use]
pub fn hull(choices: &[Choice]) -> Vec<Choice> {
    let mut points = choices.to_vec();
    points.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(a.error.total_cmp(&b.error)));
    // Cheapest first; a dearer point is kept if its error is smaller.
    let mut front: Vec<Choice> = Vec::new();
    for point in points {
        if front.last().is_none_or(|last| point.error < last.error && point.cost > last.cost) {
            while let [.., a, b] = front.as_slice() {
                // `b` stays if it lies under the line from `a` to `point`.
                let under = (b.error - a.error) * (point.cost - a.cost) < (point.error - a.error) * (b.cost - a.cost);
                if under {
                    break;
                }
                front.pop();
            }
            front.push(point);
        }
    }
    front.reverse();
    front
}

#[cfg(test)]
mod tests {
    use super::{Choice, hull, ladder};
    use scrimp::bits::Width::{W2, W4, W6, W8};

    fn choice(width: scrimp::bits::Width, cost: f64, error: f64) -> Choice {
        Choice { width, cost, error }
    }

    #[test]
    fn a_point_over_the_line_is_skipped() {
        let points = [choice(W8, 8.0, 0.0), choice(W6, 6.0, 5.0), choice(W4, 4.0, 1.0), choice(W2, 2.0, 9.0)];
        let widths: Vec<_> = hull(&points).iter().map(|c| c.width).collect();
        assert_eq!(widths, [W8, W4, W2]);
    }

    #[test]
    fn dearer_and_worse_points_are_skipped() {
        let points = [choice(W8, 8.0, 0.0), choice(W6, 8.0, 1.0), choice(W4, 4.0, 2.0), choice(W2, 8.0, 3.0)];
        let widths: Vec<_> = hull(&points).iter().map(|c| c.width).collect();
        assert_eq!(widths, [W8, W4]);
    }

    #[test]
    fn every_prefix_is_the_best_of_its_cost() {
        let layers = [
            vec![choice(W8, 80.0, 0.0), choice(W4, 40.0, 3.0), choice(W2, 20.0, 30.0)],
            vec![choice(W8, 8.0, 0.0), choice(W4, 4.0, 0.1), choice(W2, 2.0, 0.2)],
            vec![choice(W8, 16.0, 0.5), choice(W4, 8.0, 4.0), choice(W2, 4.0, 9.0)],
        ];
        let mut at: Vec<Choice> = layers.iter().map(|l| hull(l)[0]).collect();
        for rung in ladder(&layers) {
            at[rung.layer] = *layers[rung.layer].iter().find(|c| c.width == rung.to).unwrap();
            let (cost, error) = at.iter().fold((0.0, 0.0), |(c, e), a| (c + a.cost, e + a.error));
            for a in &layers[0] {
                for b in &layers[1] {
                    for c in &layers[2] {
                        if a.cost + b.cost + c.cost <= cost {
                            assert!(a.error + b.error + c.error >= error - 1e-9);
                        }
                    }
                }
            }
        }
    }
}
