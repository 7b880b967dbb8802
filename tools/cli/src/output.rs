//! What is written: files, all of them or none, and text.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Tells early, before any work, whether these files can be written; none is touched.
///
/// # Errors
/// If two are the same file, one is also in `inputs`, a folder is missing, or a file that is there is not writable.
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
        }
    }
    Ok(())
}

/// Writes all files or none: under temporary names beside their targets, then renamed.
///
/// # Errors
/// If one cannot be written.
pub fn write(files: &[(&Path, &[u8])]) -> Result<()> {
    let mut temporary = Temporary(Vec::new());
    for (path, bytes) in files {
        let place = place(path)?;
        let name = format!(".{}.{}", place.file_name().unwrap_or_default().display(), std::process::id());
        let beside = place.with_file_name(name);
        let mut file = File::create_new(&beside).with_context(|| format!("cannot write {}", path.display()))?;
        let old = place.metadata();
        temporary.0.push((beside, place));
        if let Ok(old) = old {
            file.set_permissions(old.permissions()).with_context(|| format!("cannot write {}", path.display()))?;
        }
        file.write_all(bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for (from, to) in &temporary.0 {
        fs::rename(from, to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// Prints to stdout; a pipe that was closed (`| head`) is no error.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Files with their targets; what is still there in the end is removed.
struct Temporary(Vec<(PathBuf, PathBuf)>);

impl Drop for Temporary {
    fn drop(&mut self) {
        for (file, _) in &self.0 {
            let _ = fs::remove_file(file); // gone already if it was renamed
        }
    }
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
