//! `Stats` of two runs are added field by field, and nothing wraps.

use scrimp::lmdvit::Stats;

const ONE: Stats = Stats {
    cells: 2,
    active_cells: 3,
    windows: 5,
    active_windows: 7,
    mask_macs: 11,
    predictor_macs: 13,
    conv_macs: 17,
    window_macs: 19,
};

#[test]
fn each_field_is_added_to_its_own() {
    let mut sum = Stats {
        cells: 100,
        active_cells: 200,
        windows: 300,
        active_windows: 400,
        mask_macs: 500,
        predictor_macs: 600,
        conv_macs: 700,
        window_macs: 800,
    };
    sum.add(&ONE);
    let want = Stats {
        cells: 102,
        active_cells: 203,
        windows: 305,
        active_windows: 407,
        mask_macs: 511,
        predictor_macs: 613,
        conv_macs: 717,
        window_macs: 819,
    };
    assert_eq!(sum, want);
    let mut nothing = Stats::default();
    nothing.add(&ONE);
    assert_eq!(nothing, ONE);
    nothing.add(&Stats::default());
    assert_eq!(nothing, ONE);
}

#[test]
fn all_four_kinds_are_multiply_accumulates() {
    assert_eq!(ONE.macs(), 11 + 13 + 17 + 19);
    for (field, stats) in [
        Stats { mask_macs: 9, ..Stats::default() },
        Stats { predictor_macs: 9, ..Stats::default() },
        Stats { conv_macs: 9, ..Stats::default() },
        Stats { window_macs: 9, ..Stats::default() },
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(stats.macs(), 9, "field {field}");
    }
    assert_eq!(Stats { cells: 1, active_cells: 1, windows: 1, active_windows: 1, ..Stats::default() }.macs(), 0);
}

#[test]
fn nothing_wraps() {
    let most = Stats {
        cells: usize::MAX,
        active_cells: usize::MAX,
        windows: usize::MAX,
        active_windows: usize::MAX,
        mask_macs: u64::MAX,
        predictor_macs: u64::MAX,
        conv_macs: u64::MAX,
        window_macs: u64::MAX,
    };
    assert_eq!(most.macs(), u64::MAX);
    let mut sum = most;
    sum.add(&ONE);
    assert_eq!(sum, most);
    let mut sum = ONE;
    sum.add(&most);
    assert_eq!(sum, most);
}
