//! The error against the base, as SVG text (the viewer brings its fonts) and as a picture without text.

use anyhow::{Result, anyhow};
use image::{Rgb, RgbImage};
use plotters::prelude::*;

/// One curve: a name and points of base and error.
pub struct Curve {
    /// What it shows.
    pub name: String,
    /// `(q, mean square error)`.
    pub points: Vec<(f64, f64)>,
}

impl core::fmt::Debug for Curve {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {} points", self.name, self.points.len())
    }
}

/// Palette of Okabe and Ito (2008): distinguishable with every kind of colour vision.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];
const SIZE: (u32, u32) = (860, 460);

fn extent(curves: &[Curve]) -> (f64, f64) {
    let errors = curves.iter().flat_map(|curve| &curve.points).map(|p| p.1).filter(|e| e.is_finite() && *e > 0.0);
    errors.fold((f64::INFINITY, 0.0), |(low, high), e| (low.min(e), high.max(e)))
}

/// The curves as SVG.
///
/// # Errors
/// If there is nothing to draw.
pub fn svg(curves: &[Curve]) -> Result<String> {
    let mut text = String::new();
    draw(curves, &mut text).map_err(|error| anyhow!("{error}"))?;
    Ok(text + "\n")
}

fn draw(curves: &[Curve], text: &mut String) -> Result<(), Box<dyn core::error::Error>> {
    let (low, high) = extent(curves);
    if low > high {
        return Err("no error is a positive number".into());
    }
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut axes = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(74)
        .build_cartesian_2d(0.0..140.0, (low / 1.2..high * 1.2).log_scale())?;
    axes.configure_mesh()
        .x_desc("q: the base is 2^(q/37)")
        .y_desc("mean square error of the output")
        .label_style(("sans-serif", 13))
        .light_line_style(BLACK.mix(0.06))
        .y_label_formatter(&|v| format!("{v:.0e}"))
        .x_label_formatter(&|v| format!("{v}"))
        .draw()?;
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style);
        let points = curve.points.iter().copied().filter(|p| p.1.is_finite() && p.1 > 0.0);
        axes.draw_series(LineSeries::new(points, style))?.label(&curve.name).legend(key);
    }
    axes.configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .position(SeriesLabelPosition::UpperRight)
        .draw()?;
    area.present()?;
    Ok(())
}

/// The same curves as a picture, in the colours of the SVG; a grey line for each power of ten.
///
/// # Errors
/// If there is nothing to draw.
pub fn picture(curves: &[Curve]) -> Result<RgbImage> {
    let (low, high) = extent(curves);
    if low > high {
        return Err(anyhow!("no error is a positive number"));
    }
    let mut image = RgbImage::from_pixel(SIZE.0, SIZE.1, Rgb([255; 3]));
    let (low, high) = ((low / 1.2).log10(), (high * 1.2).log10());
    let place = |q: f64, error: f64| {
        let x = q / 140.0 * f64::from(SIZE.0 - 1);
        let y = (high - error.log10()) / (high - low) * f64::from(SIZE.1 - 1);
        (x, y)
    };
    for decade in low.ceil() as i32..=high.floor() as i32 {
        let (_, y) = place(0.0, 10f64.powi(decade));
        (0..SIZE.0).for_each(|x| image.put_pixel(x, (y.round() as u32).min(SIZE.1 - 1), Rgb([200; 3])));
    }
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<_> = curve.points.iter().filter(|p| p.1.is_finite() && p.1 > 0.0).collect();
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (place(pair[0].0, pair[0].1), place(pair[1].0, pair[1].1));
            let steps = (x1 - x0).abs().max((y1 - y0).abs()).ceil().max(1.0) as u32;
            for step in 0..=steps {
                let part = f64::from(step) / f64::from(steps);
                let (x, y) = (x0 + (x1 - x0) * part, y0 + (y1 - y0) * part);
                for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let at = ((x as u32 + dx).min(SIZE.0 - 1), (y as u32 + dy).min(SIZE.1 - 1));
                    image.put_pixel(at.0, at.1, Rgb([colour.0, colour.1, colour.2]));
                }
            }
        }
    }
    Ok(image)
}
