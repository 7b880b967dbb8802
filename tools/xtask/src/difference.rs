//! Where a board's results differ from this machine's: a case that knows only a checksum of its results says that something is
//! wrong, and this finds the first element that is.

use std::path::Path;

use anyhow::{Context, Result};

use crate::board::{Board, HANG};
use crate::process::{self, LONG};
use crate::workspace;

/// What a failing line of the conformance example says, and the first difference behind each that names a checksum.
pub(crate) fn explain(board: &Board, program: &Path, stdout: &str) -> Result<String> {
    let mut text = String::new();
    for line in stdout.lines().filter(|line| line.starts_with("FAILED ")) {
        text += &format!("{line}\n");
        if let Some((case, backend)) = summed(line) {
            let there = board.run(program, &[case, backend], HANG)?.check()?.stdout;
            text += &format!("    {}\n", first(&there, &here(case)?, &board.name)?);
        }
    }
    Ok(text)
}

/// Case and backend of `FAILED case on backend: ... checksum ...`.
fn summed(line: &str) -> Option<(&str, &str)> {
    let (what, why) = line.strip_prefix("FAILED ")?.split_once(": ")?;
    why.contains("checksum").then(|| what.split_once(" on ")).flatten()
}

/// The numbers of a case on this machine, by the portable code.
fn here(case: &str) -> Result<String> {
    let mut cargo = workspace::cargo(["run", "--release", "-q", "-p", "scrimp", "--features", "std"]);
    cargo.args(["--example", "conformance", "--", case, "scalar"]);
    Ok(process::run(&format!("{case} on this machine"), &mut cargo, LONG)?.check()?.stdout)
}

/// The first line in which both differ, in words. The lines are `length kind index bits`, behind a heading.
fn first(there: &str, here: &str, board: &str) -> Result<String> {
    let numbers = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (there, here) = (numbers(there), numbers(here));
    let Some(at) = (0..there.len().max(here.len())).find(|&i| there.get(i) != here.get(i)) else {
        return Ok("every element is the same on this machine: the checksum in tests/suite is an old one".into());
    };
    let (Some(got), Some(want)) = (there.get(at), here.get(at)) else {
        return Ok(format!("{} elements, {} on this machine", there.len(), here.len()));
    };
    let ([len, kind, index, got], [.., want]) = (words(got)?, words(want)?);
    Ok(format!("row of {len}, kind {kind}, element {index}: {got} on {board}, {want} on this machine"))
}

fn words(line: &str) -> Result<[&str; 4]> {
    let words: Vec<_> = line.split(' ').collect();
    words.try_into().ok().with_context(|| format!("not a value: {line}"))
}

#[cfg(test)]
mod tests {
    use super::{first, summed};

    #[test]
    fn the_first_difference_is_named() {
        let text = first("board\n3 0 0 7\n3 0 1 9\n3 0 2 1\n", "host\n3 0 0 7\n3 0 1 8\n3 0 2 0\n", "m55").unwrap();
        assert_eq!(text, "row of 3, kind 0, element 1: 9 on m55, 8 on this machine");
        assert!(first("a\n1 0 0 5\n", "b\n1 0 0 5\n", "m55").unwrap().contains("an old one"));
        assert_eq!(first("a\n1 0 0 5\n", "b\n", "m55").unwrap(), "1 elements, 0 on this machine");
    }

    #[test]
    fn only_checksums_are_looked_into() {
        let line = "FAILED softmax_q on dsp: other bytes than elsewhere; checksum 0x1, 0x2 wanted";
        assert_eq!(summed(line), Some(("softmax_q", "dsp")));
        assert_eq!(summed("FAILED linear on dsp: outside the bound; element 3 is 1e0, 2e0 wanted"), None);
        assert_eq!(summed("ok linear on dsp"), None);
    }
}
