//! JPEG files: what they say about themselves, and their pixels.
//!
//! The decoder gets frame, tables and scans only. What else a file holds is read here, as libjpeg reads it, and what the
//! decoder cannot do is refused before it runs: it shifts the blocks of some samplings without a word, and takes what a scan
//! that was cut lacks for zeros.

use anyhow::{Context, Result, bail, ensure};
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{ColorTransform, Decoder};

use super::{Contents, Profile, check_size};

/// What is appended to a piece of entropy-coded data to see whether the decoder wants more than there is: ones, which no
/// Huffman code is made of, longer than any code with its value, and short enough to be skipped in front of a restart.
const MORE: [u8; 10] = [0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0, 0xFF, 0];

/// The decoder counts lines of whole blocks in 16 bits.
const MOST_LINES: usize = 65_528;

/// A component of the frame.
struct Component {
    id: u8,
    across: usize,
    down: usize,
    /// Which coefficients have come to their last bit.
    complete: u64,
}

/// The frame header.
struct Frame {
    width: usize,
    height: usize,
    progressive: bool,
    components: Vec<Component>,
}

/// Decodes a file.
pub(super) fn decode(bytes: &[u8]) -> Result<Contents> {
    let file = Segments::read(bytes)?;
    let Frame { width, height, ref components, .. } = file.frame;
    let transform = file.transform(components);
    let pixels = decoded(&file.plain, transform)?;
    let whole = decoded(&file.longer, transform).is_ok_and(|again| again == pixels);
    ensure!(whole, "the JPEG file is truncated: a scan ends before the picture does");
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    let image: Option<DynamicImage> = match components.len() {
        1 => GrayImage::from_raw(width, height, pixels).map(Into::into),
        _ => RgbImage::from_raw(width, height, pixels).map(Into::into),
    };
    Ok(Contents {
        image: image.context("the decoder gave another size")?,
        exif: file.exif,
        profile: profile(&file.profile),
        colour: Vec::new(),
        notes: Vec::new(),
    })
}

fn decoded(file: &[u8], transform: ColorTransform) -> Result<Vec<u8>> {
    let mut decoder = Decoder::new(file);
    decoder.set_color_transform(transform);
    Ok(decoder.decode()?)
}

/// A file taken apart.
struct Segments {
    frame: Frame,
    /// Frame, tables and scans.
    plain: Vec<u8>,
    /// The same with [`MORE`] behind each piece of entropy-coded data.
    longer: Vec<u8>,
    jfif: bool,
    /// The transform that Adobe's segment names.
    adobe: Option<u8>,
    exif: Option<Vec<u8>>,
    /// Number, count and bytes of each part of the profile.
    profile: Vec<(u8, u8, Vec<u8>)>,
}

impl Segments {
    fn read(bytes: &[u8]) -> Result<Self> {
        let truncated = "the JPEG file is truncated";
        let mut frame: Option<Frame> = None;
        let (mut plain, mut longer) = (vec![0xFF, 0xD8], vec![0xFF, 0xD8]);
        let (mut jfif, mut adobe, mut exif, mut profile) = (false, None, None, Vec::new());
        let (mut at, mut in_scan) = (2, false);
        loop {
            // Markers only: neither stuffed bytes, restarts, fill bytes nor the start of the image.
            let is_marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0 | 1 | 0xD0..=0xD8 | 0xFF);
            let rest = bytes.get(at..).context(truncated)?;
            let next = rest.windows(2).position(is_marker).context(truncated)?;
            if in_scan {
                plain.extend(&rest[..next]);
                extend_longer(&mut longer, &rest[..next]);
            }
            let kind = rest[next + 1];
            if kind == 0xD9 {
                break;
            }
            let segment = &rest[next..];
            let length = segment.get(2..4).map(|b| usize::from(b[0]) << 8 | usize::from(b[1])).context(truncated)?;
            let segment = segment.get(..2 + length).context(truncated)?;
            let body = segment.get(4..).context("a segment of the JPEG file is damaged")?;
            at += next + segment.len();
            in_scan = kind == 0xDA;
            match kind {
                0xC4 | 0xDB | 0xDD => (), // tables and the restart interval
                0xC0..=0xCF => {
                    ensure!(frame.is_none(), "the JPEG file has several frames, which is not read");
                    frame = Some(Frame::read(kind, body)?);
                }
                0xDA => frame.as_mut().context("a scan of the JPEG file comes before its frame")?.scan(body)?,
                0xDC => bail!("the JPEG file says its height behind its scan (DNL), which is not read"),
                0xE0 if body.starts_with(b"JFIF\0") && body.len() >= 14 => jfif = true,
                0xE0 if body.starts_with(b"AVI1") => (), // tells the decoder to bring the usual tables
                0xE1 if exif.is_none() && body.starts_with(b"Exif\0\0") => exif = body.get(6..).map(<[u8]>::to_vec),
                0xE2 if body.starts_with(b"ICC_PROFILE\0") && body.len() > 14 => {
                    profile.push((body[12], body[13], body[14..].to_vec()));
                }
                0xEE if body.starts_with(b"Adobe") && body.len() >= 12 => adobe = Some(body[11]),
                _ => (),
            }
            let is_decoded = matches!(kind, 0xC0..=0xDF) || body.starts_with(b"AVI1");
            if is_decoded {
                plain.extend(segment);
                longer.extend(segment);
            }
        }
        plain.extend([0xFF, 0xD9]);
        longer.extend([0xFF, 0xD9]);
        let frame = frame.context("the JPEG file has no frame")?;
        let complete = frame.components.iter().all(|component| component.complete == u64::MAX);
        ensure!(complete, "the JPEG file is truncated: scans are missing");
        Ok(Self { frame, plain, longer, jfif, adobe, exif, profile })
    }

    /// What the components are, in libjpeg's order: JFIF says so, then Adobe, then their names; else YCbCr.
    fn transform(&self, components: &[Component]) -> ColorTransform {
        let [a, b, c] = components else { return ColorTransform::Grayscale };
        let is_rgb = match self.adobe {
            _ if self.jfif => false,
            Some(transform) => transform == 0,
            None => [a.id, b.id, c.id] == *b"RGB",
        };
        if is_rgb { ColorTransform::RGB } else { ColorTransform::YCbCr }
    }
}

/// Copies entropy-coded data with [`MORE`] in front of each restart and at the end.
fn extend_longer(longer: &mut Vec<u8>, data: &[u8]) {
    let mut rest = data;
    while let Some(at) = rest.windows(2).position(|pair| pair[0] == 0xFF && matches!(pair[1], 0xD0..=0xD7)) {
        longer.extend(&rest[..at]);
        longer.extend(MORE);
        longer.extend(&rest[at..at + 2]);
        rest = &rest[at + 2..];
    }
    longer.extend(rest);
    longer.extend(MORE);
}

impl Frame {
    fn read(kind: u8, body: &[u8]) -> Result<Self> {
        let truncated = "the JPEG file is truncated";
        let number = |at: usize| body.get(at..at + 2).map(|b| usize::from(b[0]) << 8 | usize::from(b[1]));
        let (height, width) = number(1).zip(number(3)).context(truncated)?;
        check_size(width, height)?;
        ensure!(height <= MOST_LINES, "{height} lines are more than the {MOST_LINES} of a JPEG file that are read");
        match body.get(5).context(truncated)? {
            1 | 3 => (),
            4 => bail!("the picture is CMYK; convert it to RGB first"),
            count => bail!("the JPEG file has {count} components, which mean no colours"),
        }
        match kind {
            0xC0..=0xC2 => (),
            0xC3 => bail!("the picture is lossless JPEG, which is not read"),
            0xC9..=0xCB => bail!("the JPEG file is coded arithmetically, which is not read"),
            _ => bail!("the JPEG file is a hierarchical one, which is not read"),
        }
        ensure!(body[0] == 8, "the JPEG file has {} bits a sample, only 8 are read", body[0]);
        let component = |c: &[u8]| Component {
            id: c[0],
            across: usize::from(c[1] >> 4),
            down: usize::from(c[1] & 15),
            complete: 0,
        };
        let components: Vec<_> = body[6..].chunks_exact(3).map(component).collect();
        ensure!(components.len() == usize::from(body[5]), "the frame of the JPEG file is damaged");
        let usual = |c: &Component| (1..=4).contains(&c.across) && (1..=4).contains(&c.down);
        ensure!(components.iter().all(usual), "the frame of the JPEG file is damaged");
        Ok(Self { width, height, progressive: kind == 0xC2, components })
    }

    /// Notes what a scan brings.
    fn scan(&mut self, body: &[u8]) -> Result<()> {
        let damaged = "a scan header of the JPEG file is damaged";
        let count = usize::from(*body.first().context(damaged)?);
        let (names, rest) = body[1..].split_at_checked(2 * count).context(damaged)?;
        let &[first, last, bits] = rest else { bail!(damaged) };
        ensure!(count > 0 && first <= last && last < 64, damaged);
        let coefficients = match bits & 15 {
            _ if !self.progressive => u64::MAX,
            0 => u64::MAX >> (63 - (last - first)) << first,
            _ => 0,
        };
        let most = |side: fn(&Component) -> usize| self.components.iter().map(side).max().unwrap_or(1);
        let (across, down) = (most(|c| c.across), most(|c| c.down));
        let (width, height) = (self.width, self.height);
        for name in names.chunks_exact(2) {
            let component = self.components.iter_mut().find(|c| c.id == name[0]).context(damaged)?;
            component.complete |= coefficients;
            // The decoder takes as many blocks as it has room for, which is one too many where a component has neither all
            // nor one of the blocks of its group.
            let alone = |pixels: usize, factor: usize, most: usize| (pixels * factor).div_ceil(most).div_ceil(8);
            let taken = |pixels: usize, factor: usize, most: usize| {
                (pixels.div_ceil(8 * most) * factor).min(pixels.div_ceil(8))
            };
            let same = alone(width, component.across, across) == taken(width, component.across, across)
                && alone(height, component.down, down) == taken(height, component.down, down);
            ensure!(same || count > 1, "the JPEG file samples its colours in a way that is not read");
        }
        Ok(())
    }
}

/// Puts the parts of a profile together: each there once, and as many as each of them says.
fn profile(parts: &[(u8, u8, Vec<u8>)]) -> Profile {
    if parts.is_empty() {
        return Profile::None;
    }
    let mut all = Vec::new();
    for number in 1..=parts.len() {
        let mut found = parts.iter().filter(|part| usize::from(part.0) == number);
        match (found.next(), found.next()) {
            (Some(part), None) if usize::from(part.1) == parts.len() => all.extend(&part.2),
            _ => return Profile::Damaged,
        }
    }
    Profile::of(all)
}
