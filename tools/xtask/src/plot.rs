//! Line charts, with logarithmic axes where the range is wide, as SVG text, the same on every machine: no font is read, the viewer brings its own.

use core::ops::Range;

use anyhow::{Context, Result, anyhow};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

/// Palette of Okabe and Ito (2008): distinguishable with every kind of colour vision.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
];
const SIZE: (u32, u32) = (1060, 460);
/// Left for the names of the curves.
const NAMES: u32 = 250;
const MARGIN: u32 = 12;
const LEFT: u32 = 74;

/// One curve; `dashed` marks what is not ours.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) dashed: bool,
}

/// What stands round the curves.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    /// A horizontal line: a promised bound.
    pub(crate) bound: Option<(&'a str, f64)>,
}

/// Draws the curves.
pub(crate) fn svg(chart: &Chart<'_>, curves: &[Curve]) -> Result<String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let x = extent(points().map(|p| p.0)).context("nothing to draw")?;
    let y = extent(points().map(|p| p.1).chain(chart.bound.map(|bound| bound.1))).context("nothing to draw")?;
    let mut text = String::new();
    // A narrow range shows nothing on a logarithmic axis, and one below a decade has hardly a number on it.
    let room = 0.1 * (y.end - y.start);
    let drawn = match (x.end < 10.0 * x.start, y.end < 2.0 * y.start) {
        (true, true) => draw(chart, curves, &x, x.clone(), y.start - room..y.end + room, &mut text),
        (false, true) => draw(chart, curves, &x, x.clone().log_scale(), y.start - room..y.end + room, &mut text),
        (true, false) => draw(chart, curves, &x, x.clone(), (y.start / 1.3..y.end * 1.3).log_scale(), &mut text),
        (false, false) => {
            draw(chart, curves, &x, x.clone().log_scale(), (y.start / 1.3..y.end * 1.3).log_scale(), &mut text)
        }
    };
    drawn.map_err(|error| anyhow!("{error}"))?;
    Ok(text + "\n")
}

fn extent(values: impl Iterator<Item = f64> + Clone) -> Option<Range<f64>> {
    let low = values.clone().reduce(f64::min)?;
    Some(low..values.reduce(f64::max)?)
}

type Drawn = Result<(), Box<dyn core::error::Error>>;

fn draw<X, Y>(chart: &Chart<'_>, curves: &[Curve], ends: &Range<f64>, x: X, y: Y, text: &mut String) -> Drawn
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut axes = ChartBuilder::on(&area)
        .caption(chart.title, ("sans-serif", 18))
        .margin(MARGIN)
        .margin_right(NAMES)
        .x_label_area_size(42)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(x, y)?;
    axes.configure_mesh()
        .x_desc(chart.x)
        .y_desc(chart.y)
        .label_style(("sans-serif", 13))
        .light_line_style(BLACK.mix(0.06))
        .y_label_formatter(&|v| number(*v))
        .x_label_formatter(&|v| number(*v))
        .draw()?;
    let mut names = Vec::new();
    for (curve, colour) in curves.iter().filter(|curve| !curve.points.is_empty()).zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let points = curve.points.iter().copied();
        if curve.dashed {
            axes.draw_series(DashedLineSeries::new(points, 6, 4, style))?;
        } else {
            axes.draw_series(LineSeries::new(points, style))?;
        }
        names.push((curve.name.as_str(), style, curve.dashed));
    }
    if let Some((name, value)) = chart.bound {
        let style = BLACK.stroke_width(1);
        axes.draw_series(DashedLineSeries::new([(ends.start, value), (ends.end, value)], 2, 4, style))?;
        names.push((name, style, true));
    }
    // Beside the chart, where they cover no curve.
    let (left, mut y) = ((SIZE.0 - NAMES + 10) as i32, 48);
    for (name, style, dashed) in names {
        let gap = if dashed { 5 } else { 0 };
        area.draw(&PathElement::new([(left, y), (left + 9, y)], style))?;
        area.draw(&PathElement::new([(left + 9 + gap, y), (left + 22, y)], style))?;
        area.draw(&Text::new(name, (left + 28, y - 6), ("sans-serif", 13)))?;
        y += 19;
    }
    area.present()?;
    Ok(())
}

/// Short: `0.25`, `4096`, `1e-6`.
fn number(v: f64) -> String {
    if (0.01..1e5).contains(&v) { format!("{}", (v * 1e4).round() / 1e4) } else { format!("{v:.0e}") }
}
