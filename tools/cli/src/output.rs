//! What is written: files, all of them or none, and text.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, ensure};
use tempfile::{Builder, NamedTempFile, TempPath};

/// Tells early, before any work, whether these files can be written; none is touched.
///
/// # Errors
/// If two are the same file, one is also in `inputs`, a folder is missing or takes no files, or a file that is there is not
/// writable.
pub fn check(outputs: &[&Path], inputs: &[&Path]) -> Result<()> {
    for (i, path) in outputs.iter().enumerate() {
        let place = place(path)?;
        for other in inputs.iter().chain(&outputs[..i]) {
            ensure!(
                self::place(other).ok().as_ref() != Some(&place),
                "{} is named twice; an output needs a name of its own",
                path.display()
            );
        }
        if place.exists() {
            ensure!(place.is_file(), "cannot write {}: it is no ordinary file", path.display());
            let file = OpenOptions::new().append(true).open(&place);
            file.with_context(|| format!("cannot write {}", path.display()))?;
        } else {
            // Also a name that is too long or has characters that the file system does not take.
            let there = File::create_new(&place).and_then(|_| fs::remove_file(&place));
            there.with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// Writes all files or none: under temporary names beside their targets, then renamed. A target that is there and cannot be
/// replaced (it is mounted, or its folder takes no files) is written in place. If one fails after others are there, those are
/// as they were before.
///
/// # Errors
/// If one cannot be written.
pub fn write(files: &[(&Path, &[u8])]) -> Result<()> {
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    let mut ready = Vec::new();
    for &(path, bytes) in files {
        ready.push((path, Ready::new(path, bytes).with_context(|| cannot(path))?));
    }
    let mut done: Vec<(&Path, Before)> = Vec::new();
    for (path, ready) in ready {
        match ready.commit() {
            Ok(before) => done.push((path, before)),
            Err(error) => {
                let mut error: Error = error.context(cannot(path));
                for (path, before) in done.into_iter().rev() {
                    if let Err(too) = before.restore() {
                        error =
                            anyhow!("{error:#}, and {} is changed and could not be restored: {too}", path.display());
                    }
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Prints to stdout; a pipe that was closed (`| head`) is no error.
///
/// # Errors
/// If it cannot be written for another reason.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to the standard output")
        }
        _ => Ok(()),
    }
}

/// A line on stderr; there is nobody to tell if that fails.
pub fn note(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A file that only needs to be put in its place.
struct Ready<'a> {
    place: PathBuf,
    bytes: &'a [u8],
    /// The file beside it; `None` if its folder takes none.
    beside: Option<NamedTempFile>,
}

/// What stood in a place.
enum Before {
    Nothing(PathBuf),
    /// A second name of the file that was there.
    File(TempPath, PathBuf),
    Bytes(Vec<u8>, PathBuf),
}

impl<'a> Ready<'a> {
    fn new(path: &Path, bytes: &'a [u8]) -> Result<Self> {
        let place = place(path)?;
        let old = place.metadata().ok();
        let beside = match temporary(&place, create) {
            Ok(mut file) => {
                if let Some(old) = &old {
                    file.as_file().set_permissions(old.permissions())?;
                }
                file.write_all(bytes)?;
                Some(file)
            }
            Err(error) => {
                old.ok_or(error)?; // what is there may be written in place
                None
            }
        };
        Ok(Self { place, bytes, beside })
    }

    fn commit(self) -> Result<Before> {
        let Self { place, bytes, beside } = self;
        let is_there = place.is_file();
        let Some(beside) = beside else { return in_place(place, bytes) };
        let before = match temporary(&place, |name| fs::hard_link(&place, name)) {
            _ if !is_there => Before::Nothing(place.clone()),
            Ok(link) => Before::File(link.into_temp_path(), place.clone()),
            // The file system knows no links.
            Err(_) => Before::Bytes(fs::read(&place)?, place.clone()),
        };
        match beside.persist(&place) {
            Ok(_) => Ok(before),
            Err(_) if is_there => in_place(place, bytes),
            Err(error) => Err(error.error.into()),
        }
    }
}

impl Before {
    fn restore(self) -> io::Result<()> {
        match self {
            Self::Nothing(place) => fs::remove_file(place),
            Self::File(link, place) => link.persist(place).map_err(|error| error.error),
            Self::Bytes(bytes, place) => fs::write(place, bytes),
        }
    }
}

/// Writes over a file; if that fails half way, what it held is written back.
fn in_place(place: PathBuf, bytes: &[u8]) -> Result<Before> {
    let old = fs::read(&place)?;
    // Not created: a file that went in the meantime shall be missed.
    let mut file = OpenOptions::new().write(true).open(&place)?;
    let written = file.set_len(0).and_then(|()| file.write_all(bytes));
    if let Err(error) = written {
        drop(file);
        return Err(match fs::write(&place, &old) {
            Ok(()) => error.into(),
            Err(too) => anyhow!("{error}, and what was there is lost: {too}"),
        });
    }
    Ok(Before::Bytes(old, place))
}

fn create(name: &Path) -> io::Result<File> {
    File::create_new(name)
}

/// Something new beside a file, gone when it is dropped. The name does not depend on the file's, which may be as long as names
/// may be, and is one that nobody has.
fn temporary<T>(place: &Path, make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<NamedTempFile<T>> {
    Builder::new().prefix(".scrimp-").make_in(place.parent().unwrap_or(Path::new(".")), make)
}

/// Where a file is or would be, links followed.
fn place(path: &Path) -> Result<PathBuf> {
    if let Ok(there) = path.canonicalize() {
        return Ok(there);
    }
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().with_context(|| format!("cannot write {}", path.display()))?;
    ensure!(folder.is_dir(), "cannot write {}: {} is no folder", path.display(), folder.display());
    Ok(folder.join(name))
}
