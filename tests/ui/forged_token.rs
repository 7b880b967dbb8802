// error[E0423]: cannot initialize a tuple struct which contains private fields
#[cfg(target_arch = "x86_64")]
use scrimp::backend::Avx2 as Token;
#[cfg(target_arch = "aarch64")]
use scrimp::backend::Neon as Token;

fn main() {
    let _ = Token(());
}
