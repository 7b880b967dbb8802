//! Files that are written: any name, all or none, told before the work; and text that cannot be.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{GrayImage, Luma};
use scrimp_cli::output::{check, write};

use crate::{Folder, Run, jpeg, scene};

fn scrimp() -> Command {
    Command::new(env!("CARGO_BIN_EXE_scrimp"))
}

#[test]
fn names_as_long_as_names_may_be() {
    let folder = Folder::new();
    folder.save("in.png", scene(20, 20));
    for name in [
        "n".repeat(245) + ".png", // 249 bytes
        "n".repeat(251) + ".png", // 255 bytes
        "写".repeat(83) + ".png", // 253 bytes
        "é".repeat(125) + ".jpeg",
    ] {
        folder.ok(&["deblur", "in.png", &name, "--policy", "none"]);
        assert_eq!(folder.rgb(&name).dimensions(), (20, 20));
        folder.ok(&["deblur", "in.png", &name, "--policy", "none"]);
        fs::remove_file(folder.path().join(&name)).expect("it is there");
        assert_eq!(folder.listing().len(), 1);
    }
    let long = "n".repeat(252) + ".png";
    folder.refuses(&["deblur", "in.png", &long, "--policy", "none"], &["cannot write", "too long"]);
}

#[test]
fn names_that_are_no_utf_8() {
    let folder = Folder::new();
    folder.save("in.png", scene(20, 20));
    let names = [&b"a\xFF.png"[..], b"a\xFE.png", b"a\xFD.png"].map(|name| OsStr::from_bytes(name).to_owned());
    let args = |args: &[&OsString]| -> Vec<OsString> { args.iter().map(|a| (*a).clone()).collect() };
    let [policy, to] = ["--policy", "--mask-out"].map(OsString::from);
    fs::copy(folder.path().join("in.png"), folder.path().join(&names[2])).expect("a copy");
    let all = args(&[&"deblur".into(), &"in.png".into(), &names[0], &to, &names[1], &policy, &names[2]]);
    let run = folder.command(scrimp().args(all));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let mask = image::open(folder.path().join(&names[1])).expect("a mask").into_luma8();
    assert!(mask.pixels().all(|p| p.0 == [0] || p.0 == [255]));
    assert!(image::open(folder.path().join(&names[0])).is_ok());
    assert_eq!(folder.listing().len(), 4);
}

#[test]
fn leftovers_of_earlier_runs_do_no_harm() {
    let folder = Folder::new();
    folder.put("out", "old");
    // As a run of the same process number may have left it.
    for name in [format!(".out.{}", std::process::id()), format!(".scrimp-{}", std::process::id())] {
        folder.put(&name, "left over");
    }
    write(&[(&folder.path().join("out"), b"new")]).expect("written");
    assert_eq!(folder.get("out"), b"new");
    assert_eq!(folder.listing().len(), 3);
}

#[test]
fn what_is_there_keeps_its_permissions() {
    let folder = Folder::new();
    folder.put("out", "old");
    let path = folder.path().join("out");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
    write(&[(&path, b"new"), (&folder.path().join("other"), b"new")]).expect("written");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o640);
    // A new one has those of any other file.
    File::create(folder.path().join("usual")).expect("a file");
    let mode = |name: &str| fs::metadata(folder.path().join(name)).expect(name).permissions().mode();
    assert_eq!(mode("other"), mode("usual"));
}

/// The last of three targets cannot be renamed to, as a folder with something in it stands there.
#[test]
fn what_was_written_before_a_failure_is_taken_back() {
    let folder = Folder::new();
    folder.put("old", "old");
    fs::create_dir_all(folder.path().join("blocked/full")).expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let before = folder.listing();
    let old = fs::metadata(path("old")).expect("it is there");
    let failed = write(&[(&path("old"), b"new"), (&path("new"), b"new"), (&path("blocked"), b"new")]);
    let error = format!("{:#}", failed.expect_err("a folder is there"));
    assert!(error.contains("cannot write") && error.contains("blocked"), "{error}");
    assert!(folder.listing() == before);
    assert_eq!(fs::read(path("old")).expect("it is there"), b"old");
    assert_eq!(fs::metadata(path("old")).expect("it is there").len(), old.len());
    assert!(path("blocked/full").is_dir());
}

/// Runs in a mount namespace of its own, after a script; `None` where that is not allowed.
fn with_mounts(folder: &Folder, mounts: &str, args: &[&str]) -> Option<Run> {
    let run = |script: &str, args: &[&str]| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c", script, env!("CARGO_BIN_EXE_scrimp")]).args(args);
        unshare.current_dir(folder.path()).output().ok()
    };
    let mounted = run(mounts, &[])?;
    if !mounted.status.success() {
        println!("skipped: no mounts: {}", String::from_utf8_lossy(&mounted.stderr));
        return None;
    }
    let run = run(&format!("{mounts} && exec \"$0\" \"$@\""), args)?;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Some(Run { code: run.status.code(), stdout: text(run.stdout), stderr: text(run.stderr) })
}

#[test]
fn a_mounted_file_is_written_in_place() {
    let folder = Folder::new();
    folder.save("in.png", scene(20, 20));
    folder.put("behind.png", "old and longer than what it becomes".repeat(100));
    for order in [["out.png", "mount.png"], ["mount.png", "out.png"]] {
        folder.put("mount.png", "a place");
        let args = ["deblur", "in.png", order[0], "--mask-out", order[1], "--policy", "none"];
        let Some(run) = with_mounts(&folder, "mount --bind behind.png mount.png", &args) else { return };
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        // What was mounted has it, not the place.
        assert_eq!(folder.rgb("behind.png").dimensions(), (20, 20));
        assert_eq!(folder.rgb("out.png").dimensions(), (20, 20));
        assert_eq!(folder.get("mount.png"), b"a place");
        assert_eq!(folder.listing().len(), 4, "a temporary file stayed");
        fs::remove_file(folder.path().join("out.png")).expect("it is there");
    }
}

#[test]
fn a_mount_that_takes_no_writes_is_told_before_the_work() {
    let folder = Folder::new();
    folder.save("in.png", scene(20, 20));
    folder.put("mount.png", "a place");
    let mounts = "mount --bind mount.png mount.png && mount -o remount,bind,ro mount.png";
    let args = ["deblur", "in.png", "out.png", "--mask-out", "mount.png"];
    let Some(run) = with_mounts(&folder, mounts, &args) else { return };
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert!(run.stderr.contains("cannot write mount.png"), "{}", run.stderr);
    assert_eq!(folder.listing().len(), 2);
}

/// The binary where anybody may run it, as somebody who may not do everything.
fn as_nobody(folder: &Folder) -> Command {
    let binary = folder.path().join("scrimp");
    if !binary.exists() {
        fs::copy(env!("CARGO_BIN_EXE_scrimp"), &binary).expect("a copy");
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let mut command = Command::new(binary);
    let root = fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0);
    if root {
        command.uid(65_534).gid(65_534);
    }
    command
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

/// A photo whose work takes long: what is told before it is told at once.
#[test]
fn a_folder_that_takes_no_files_is_told_before_the_work() {
    let folder = Folder::new();
    folder.put("in.jpg", jpeg(&scene(40, 30)));
    folder.put("there.png", "old");
    mode(&folder.path().join("there.png"), 0o666);
    for missing in ["no such picture.jpg", "in.jpg"] {
        let mut command = as_nobody(&folder);
        mode(folder.path(), 0o555);
        let run = folder.command(command.args(["deblur", missing, "out.png", "--policy", "none"]));
        mode(folder.path(), 0o755);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        // Even before the photo is looked for.
        assert!(run.stderr.contains("cannot write out.png"), "{}", run.stderr);
    }
    // A file that is there may be written without its folder.
    let mut command = as_nobody(&folder);
    mode(folder.path(), 0o555);
    let run = folder.command(command.args(["deblur", "in.jpg", "there.png", "--policy", "none"]));
    mode(folder.path(), 0o755);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(folder.rgb("there.png").dimensions(), (40, 30));
}

#[test]
fn checking_leaves_nothing_behind() {
    let folder = Folder::new();
    folder.put("old", "old");
    let before = folder.listing();
    let path = |name: &str| folder.path().join(name);
    check(&[&path("old"), &path("new")], &[&path("missing")]).expect("both can be written");
    assert!(folder.listing() == before);
    std::os::unix::fs::symlink("nowhere/at all", path("dangling")).expect("a link");
    let error = check(&[&path("dangling")], &[]).expect_err("it leads nowhere");
    assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
}

#[test]
fn a_full_disk_under_stdout_and_stderr_is_no_panic() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").expect("/dev/full"));
    if !Path::new("/dev/full").exists() {
        println!("skipped: no /dev/full");
        return;
    }
    let folder = Folder::new();
    let vectors =
        |name: &str| -> PathBuf { Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name) };
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/data/lmdvit-t16.scrimp");
    folder.save("grey.png", GrayImage::from_pixel(20, 10, Luma([9])));
    let all: [Vec<&OsStr>; 3] = [
        vec!["replay".as_ref(), vectors("bits/double_round.json").into_os_string().leak()],
        vec!["inspect".as_ref(), shipped.as_os_str()],
        vec!["deblur".as_ref(), "grey.png".as_ref(), "out.png".as_ref(), "--policy".as_ref(), "none".as_ref()],
    ];
    for args in all {
        let run = folder.command(scrimp().args(&args).stdout(full()));
        assert_eq!(run.code, Some(2), "{args:?}: {}", run.stderr);
        assert!(run.stderr.contains("cannot write to the standard output"), "{args:?}: {}", run.stderr);
        let run = folder.command(scrimp().args(&args).stderr(full()));
        assert_eq!(run.code, Some(0), "{args:?}");
        let run = folder.command(scrimp().args(&args).stderr(full()).stdout(full()));
        assert_eq!(run.code, Some(2), "{args:?}");
    }
    // A pipe that nobody reads any more is no error.
    let mut run =
        scrimp().args(["inspect", "--tensors"]).arg(&shipped).stdout(Stdio::piped()).spawn().expect("the binary");
    drop(run.stdout.take());
    assert_eq!(run.wait().expect("it ends").code(), Some(0));
}
