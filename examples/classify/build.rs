//! Makes Rust of the model: `classify.rs` in `OUT_DIR`.
fn main() -> Result<(), scrimp_build::Error> {
    let model = scrimp_build::Model::tflite("../data/classify.tflite")?;
    model.max_arena(16 << 10).compile()
}
