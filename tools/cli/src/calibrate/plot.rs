//! The error against the base, as SVG text (the viewer brings its fonts) and as a picture without text. A colour for each kind of
//! codes, a line for each attention.

use anyhow::{Result, anyhow};
use image::{Rgb, RgbImage};
use plotters::prelude::*;

/// One curve: a name, which curves share that have a colour, and points of base and error.
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

/// Curves with their colours; of those with one name the first comes with it.
fn coloured(curves: &[Curve]) -> Vec<(&Curve, RGBColor, Option<&str>)> {
    let mut names: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for curve in curves {
        let known = names.iter().position(|name| *name == curve.name);
        if known.is_none() {
            names.push(&curve.name);
        }
        let colour = COLOURS[known.unwrap_or(names.len() - 1) % COLOURS.len()];
        all.push((curve, colour, known.is_none().then_some(curve.name.as_str())));
    }
    all
}

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
    for (curve, colour, name) in coloured(curves) {
        let style = colour.stroke_width(2);
        let key = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style);
        let points = curve.points.iter().copied().filter(|p| p.1.is_finite() && p.1 > 0.0);
        let line = axes.draw_series(LineSeries::new(points, style))?;
        if let Some(name) = name {
            line.label(name).legend(key);
        }
    }
    axes.configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .position(SeriesLabelPosition::LowerRight)
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
    for (curve, colour, _) in coloured(curves) {
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

#[cfg(test)]
mod tests {
    use super::{Curve, coloured, svg};

    #[test]
    fn a_colour_and_an_entry_for_each_name() {
        let curve = |name: &str| Curve { name: name.into(), points: vec![(1.0, 0.1), (2.0, 0.2)] };
        let curves = ["paper", "anchored", "paper", "anchored"].map(curve);
        let all = coloured(&curves);
        assert_eq!(all.iter().map(|c| c.2).collect::<Vec<_>>(), [Some("paper"), Some("anchored"), None, None]);
        assert!(all[0].1 == all[2].1 && all[1].1 == all[3].1 && all[0].1 != all[1].1);
        let text = svg(&curves).expect("curves");
        assert_eq!((text.matches("paper").count(), text.matches("anchored").count()), (1, 1));
    }
}
