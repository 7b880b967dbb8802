//! Runs all steps twice: once as a user does, for what comes out and what it costs in all; once counted operator by operator.

use scrimp::model::crc32;
use scrimp_rt::{Ticks, println, stack_depth, stack_high_water};

use crate::net;

include!(concat!(env!("OUT_DIR"), "/glue.rs"));

/// Elements that are filled from bytes, and turned into them for the checksum.
trait Plain: Sized {
    /// Fills from as many bytes as there are.
    fn fill(to: &mut [Self], from: &mut impl Iterator<Item = u8>);
    /// The CRC-32 of the bytes.
    fn crc(of: &[Self]) -> u32;
}

macro_rules! plain {
    ($($type:ty),+) => { $(
        impl Plain for $type {
            fn fill(to: &mut [Self], from: &mut impl Iterator<Item = u8>) {
                for to in to {
                    let mut bytes = [0; size_of::<Self>()];
                    for byte in &mut bytes {
                        *byte = from.next().unwrap_or(0);
                    }
                    *to = Self::from_le_bytes(bytes);
                }
            }

            fn crc(of: &[Self]) -> u32 {
                // Elements are little endian already, on all that scrimp runs on.
                crc32(zerocopy::IntoBytes::as_bytes(of))
            }
        }
    )+ };
}
plain!(i8, u8, i16, i32, i64, f32);

pub(crate) fn main() {
    let Some(mut net) = net::Net::take() else { return };
    let mut total = 0;
    let mut stack = 0;
    let mut steps = 0;
    for (step, inputs) in STEPS.chunks_exact(STEP).enumerate() {
        reset(&mut net, step == 0);
        fill(&mut net, inputs);
        let depth = stack_depth();
        let start = Ticks::now();
        let outputs = run(&mut net, |_| {});
        total += start.elapsed();
        // Before anything is printed, which takes more.
        if step == 0 {
            stack = stack_high_water().saturating_sub(depth);
        }
        print(outputs, |k, crc| println!("output {step} {k} {crc:08x}"));
        steps += 1;
    }
    println!("memory {}", size_of::<net::Memory>());
    println!("stack {stack}");
    println!("instructions {}", total / steps.max(1));

    let mut by_operator = [0u64; OPERATORS];
    for (step, inputs) in STEPS.chunks_exact(STEP).enumerate() {
        reset(&mut net, step == 0);
        fill(&mut net, inputs);
        let mut last = Ticks::now();
        let after = |operator: usize| {
            if let Some(sum) = by_operator.get_mut(operator) {
                *sum += last.elapsed();
            }
            last = Ticks::now();
        };
        run(&mut net, after);
    }
    for (operator, sum) in by_operator.iter().enumerate() {
        println!("operator {operator} {}", sum / steps.max(1));
    }
}
