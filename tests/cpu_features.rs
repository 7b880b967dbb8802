//! A token exists exactly where every feature is that it lets a kernel use, and `Auto` takes the best token there is.
//!
//! Three ways to look, as no one machine lacks each feature in turn: the sources, where what is detected is compared with
//! what is enabled; this CPU, where the tokens are compared with the kernel's list of flags; and emulated CPUs that
//! lack one feature each, where `qemu-x86_64` is installed (it knows AVX2, not AVX-512).
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use scrimp::backend::{self, Avx2, Avx512};
use syn::visit::{self, Visit};

const AVX2: &[&str] = &["avx2", "bmi2", "fma"];
const AVX512: &[&str] = &["avx512bw", "avx512dq", "avx512f", "avx512vl"];
const VNNI: &[&str] = &["avx512vnni"];

type Names = BTreeSet<String>;

fn names(lists: &[&[&str]]) -> Names {
    lists.iter().flat_map(|list| list.iter()).map(|name| (*name).to_owned()).collect()
}

/// What stands between quotation marks, one name or several with commas.
fn literals(tokens: &str, names: &mut Names) {
    for literal in tokens.split('"').skip(1).step_by(2) {
        names.extend(literal.split(',').map(str::to_owned));
    }
}

/// What functions of a file detect, and what they enable.
#[derive(Default)]
struct Features {
    function: String,
    /// By function: the names in `is_x86_feature_detected!`, and in `cfg!`.
    run_time: Vec<(String, Names)>,
    build_time: Vec<(String, Names)>,
    enabled: Names,
}

impl<'a> Visit<'a> for Features {
    fn visit_impl_item_fn(&mut self, item: &'a syn::ImplItemFn) {
        self.function = item.sig.ident.to_string();
        self.run_time.push((self.function.clone(), Names::new()));
        self.build_time.push((self.function.clone(), Names::new()));
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_macro(&mut self, item: &'a syn::Macro) {
        let list = match item.path.segments.last().map(|s| s.ident.to_string()).as_deref() {
            Some("is_x86_feature_detected") => self.run_time.last_mut(),
            Some("cfg") => self.build_time.last_mut(),
            _ => None,
        };
        if let Some((_, names)) = list {
            literals(&item.tokens.to_string(), names);
            assert!(!item.tokens.to_string().contains("any"), "one of them is not enough in {}", self.function);
        }
    }

    fn visit_expr_binary(&mut self, item: &'a syn::ExprBinary) {
        let is_new = ["new", "vnni"].contains(&self.function.as_str());
        assert!(!is_new || !matches!(item.op, syn::BinOp::Or(_)), "one of them is not enough in {}", self.function);
        visit::visit_expr_binary(self, item);
    }

    fn visit_attribute(&mut self, item: &'a syn::Attribute) {
        if item.path().is_ident("target_feature")
            && let syn::Meta::List(list) = &item.meta
        {
            literals(&list.tokens.to_string(), &mut self.enabled);
        }
    }
}

fn features_of(file: &Path) -> Features {
    let mut features = Features::default();
    features.visit_file(&syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap());
    features
}

fn sources_of(backend: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend").join(backend);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|e| e == "rs")).collect()
}

#[test]
fn what_is_enabled_is_what_was_detected() {
    let mut proven = BTreeSet::from(["sse".to_owned()]); // x86_64 has it
    for (backend, token, function, list) in
        [("avx2", "avx2", "new", AVX2), ("avx512", "avx512", "new", AVX512), ("avx512", "vnni", "vnni", VNNI)]
    {
        let of = features_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/backend/{backend}/mod.rs")));
        let want = names(&[list]);
        for (when, found) in [("when the program runs", &of.run_time), ("when it is built", &of.build_time)] {
            let (_, found) = found.iter().find(|(name, _)| name == function).unwrap();
            assert_eq!(*found, want, "{token} asks for other features {when}");
        }
        proven.extend(want);
        if token != "avx512" {
            // Of AVX-512 the folder has both tokens.
            for file in sources_of(backend) {
                let enabled = features_of(&file).enabled;
                let more: Vec<_> = enabled.difference(&proven).collect();
                assert!(more.is_empty(), "{} enables {more:?}, which no token proves", file.display());
            }
        }
    }
}

/// Whether the CPU has all of these features.
type Has = Box<dyn Fn(&[&str]) -> bool>;

#[test]
fn tokens_are_those_of_this_cpu() {
    let has: Has = if cfg!(feature = "std") {
        let Ok(text) = fs::read_to_string("/proc/cpuinfo") else { return eprintln!("skipped: no /proc/cpuinfo") };
        let line = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
        // Linux writes a few of them with an underscore.
        let flags: Names = line.split_whitespace().map(|flag| flag.replace("avx512_", "avx512")).collect();
        Box::new(move |list| list.iter().all(|name| flags.contains(*name)))
    } else {
        Box::new(|list| {
            list.iter().all(|name| match *name {
                "avx2" => cfg!(target_feature = "avx2"),
                "bmi2" => cfg!(target_feature = "bmi2"),
                "fma" => cfg!(target_feature = "fma"),
                "avx512f" => cfg!(target_feature = "avx512f"),
                "avx512bw" => cfg!(target_feature = "avx512bw"),
                "avx512dq" => cfg!(target_feature = "avx512dq"),
                "avx512vl" => cfg!(target_feature = "avx512vl"),
                "avx512vnni" => cfg!(target_feature = "avx512vnni"),
                other => panic!("{other}"),
            })
        })
    };
    assert_eq!(Avx2::new().is_some(), has(AVX2));
    assert_eq!(Avx512::new().is_some(), has(AVX2) && has(AVX512));
    assert_eq!(Avx512::new().is_some_and(|token| token.vnni().is_some()), has(AVX2) && has(AVX512) && has(VNNI));
}

fn best() -> &'static str {
    if Avx512::new().is_some() {
        "avx512"
    } else if Avx2::new().is_some() {
        "avx2"
    } else {
        "scalar"
    }
}

#[test]
fn auto_takes_the_best_token() {
    if backend::NAME == "runtime" {
        assert_eq!(backend::name(), best());
    } else {
        assert_eq!(backend::name(), backend::NAME);
        // Without `std` and without a force, that is the best that the build has.
        assert!(cfg!(scrimp_backend = "scalar") || cfg!(scrimp_backend = "avx2") || backend::NAME == best());
    }
}

/// What the run under an emulator prints.
#[test]
fn report() {
    println!("picked {} of best {}", backend::name(), best());
}

#[test]
fn emulated_cpus_that_lack_a_feature_get_the_next_best() {
    if backend::NAME != "runtime" {
        return eprintln!("skipped: this build does not ask the CPU");
    }
    let emulated = |cpu: &str| {
        let mut qemu = Command::new("qemu-x86_64");
        qemu.args(["-cpu", cpu]).arg(std::env::current_exe().unwrap()).args(["--exact", "report", "--nocapture"]);
        qemu.output()
    };
    if emulated("qemu64").is_err() {
        return eprintln!("skipped: no qemu-x86_64 (apt-get install qemu-user)");
    }
    for (cpu, want) in [
        ("qemu64", "scalar"),
        ("Haswell", "avx2"),
        ("Haswell,-avx2", "scalar"),
        ("Haswell,-fma", "scalar"),
        ("Haswell,-bmi2", "scalar"),
    ] {
        let output = emulated(cpu).unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let line = format!("picked {want} of best {want}");
        assert!(text.contains(&line), "{cpu}: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
}
