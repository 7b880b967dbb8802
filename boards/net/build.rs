//! Compiles the model that `SCRIMP_MODEL` names, and writes what calls it: how inputs are filled from bytes and outputs are
//! turned into them depends on how many there are. Without the variable there is no model, and the program does nothing.

use core::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn core::error::Error>> {
    println!("cargo::rustc-check-cfg=cfg(scrimp_model)");
    println!("cargo::rerun-if-env-changed=SCRIMP_MODEL");
    println!("cargo::rerun-if-env-changed=SCRIMP_INPUTS");
    println!("cargo::rerun-if-changed=build.rs");
    let Ok(path) = env::var("SCRIMP_MODEL") else { return Ok(()) };
    println!("cargo::rustc-cfg=scrimp_model");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let model = scrimp_build::Model::tflite(&path)?.name("net");
    let graph = model.graph();
    let names = |kind: &str, count: usize| -> Vec<String> {
        if count == 1 { vec![kind.to_owned()] } else { (0..count).map(|k| format!("{kind}_{k}")).collect() }
    };
    let tuple = |names: &[String]| if let [one] = names { one.clone() } else { format!("({})", names.join(", ")) };
    let (inputs, outputs) = (names("input", graph.inputs.len()), names("output", graph.outputs.len()));
    let (mut bytes, mut sizes) = (0, Vec::new());
    for id in &graph.inputs {
        bytes += graph.tensors[id.0].bytes();
        sizes.push(graph.tensors[id.0].bytes());
    }
    let mut glue = format!("/// Bytes of all inputs of a step.\nconst STEP: usize = {bytes};\n");
    glue += "fn fill(net: &mut net::Net<'_>, step: &[u8]) {\n";
    writeln!(glue, "    let {} = net.input();", tuple(&inputs))?;
    glue += "    let mut rest = step.iter().copied();\n";
    for name in &inputs {
        writeln!(glue, "    Plain::fill({name}, &mut rest);")?;
    }
    glue += "}\n";
    let ty = |id: &scrimp_build::TensorId| {
        let tensor = &graph.tensors[id.0];
        format!("&'a [{}; {}]", tensor.element.rust(), tensor.elements())
    };
    let types: Vec<String> = graph.outputs.iter().map(ty).collect();
    writeln!(glue, "type Outputs<'a> = {};", tuple(&types))?;
    glue += "fn run<'a>(net: &'a mut net::Net<'_>, after: impl FnMut(usize)) -> Outputs<'a> {\n    net.run_with(after)\n}\n";
    writeln!(glue, "fn print({}: Outputs<'_>, mut each: impl FnMut(usize, u32)) {{", tuple(&outputs))?;
    for (k, name) in outputs.iter().enumerate() {
        writeln!(glue, "    each({k}, Plain::crc({name}));")?;
    }
    glue += "}\n";
    // A golden file says whether variables are reset before every step.
    let has_state = graph.tensors.iter().any(|tensor| tensor.is_variable);
    println!("cargo::rerun-if-env-changed=SCRIMP_STREAM");
    let resets = has_state && env::var_os("SCRIMP_STREAM").is_none();
    let (first, each) = (if has_state { "net.reset()" } else { "" }, if resets { "net.reset()" } else { "" });
    writeln!(glue, "fn reset(net: &mut net::Net<'_>, is_first: bool) {{")?;
    writeln!(
        glue,
        "    let _ = &net;\n    if is_first {{\n        {first}\n    }} else {{\n        {each}\n    }}\n}}"
    )?;
    // One slot for each operator of the file.
    let operators = graph.nodes.iter().map(|node| node.index + 1).max().unwrap_or(0);
    writeln!(glue, "const OPERATORS: usize = {operators};")?;
    if let Ok(steps) = env::var("SCRIMP_INPUTS") {
        println!("cargo::rerun-if-changed={steps}");
        writeln!(glue, "static STEPS: &[u8] = include_bytes!({steps:?});")?;
    }
    fs::write(out.join("glue.rs"), glue)?;
    model.compile()?;
    Ok(())
}
