//! Two methods on the same inputs.

/// Mean of `a` less `b`, answer by answer, and its standard error, as shares of 1.
#[must_use]
pub fn paired(a: &[bool], b: &[bool]) -> (f64, f64) {
    let count = a.len().max(1) as f64;
    let differences = || a.iter().zip(b).map(|(&a, &b)| f64::from(i8::from(a) - i8::from(b)));
    let mean = differences().sum::<f64>() / count;
    let variance = differences().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    (mean, (variance / count).sqrt())
}

#[cfg(test)]
mod tests {
    use super::paired;

    #[test]
    fn mean_and_error_of_four_answers() {
        // Differences 1, 0, 0, -1: variance 2/3.
        let (mean, error) = paired(&[true, true, false, false], &[false, true, false, true]);
        assert!(mean.abs() < 1e-12 && (error - (2.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12, "{mean} {error}");
    }
}
