//! CPU time of this process, contenders in random order: neighbours on the machine then disturb all alike.

use crate::buffer::Buffer;
use crate::contenders::Contender;

/// A sample is at least this long.
const SAMPLE_NS: f64 = 2e5;

/// ns an element of each contender at this row length: the median over rounds of the least of a round's samples.
pub fn measure(contenders: &mut [Contender], n: usize, rounds: usize) -> Vec<f64> {
    let (mut x, mut y) = (Buffer::new(n), Buffer::new(n));
    let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ n as u64);
    x.fill_with(|| (random.next() >> 40) as f32 * (20.0 / (1u32 << 24) as f32) - 10.0);
    y.fill(0.0); // or the first call would pay for its pages
    let calls: Vec<usize> = contenders.iter_mut().map(|c| calls_a_sample(c, &x, &mut y)).collect();
    let samples = if n >= 1 << 24 {
        8
    } else if n >= 1 << 22 {
        20
    } else {
        60
    };
    let mut least = vec![vec![f64::INFINITY; rounds]; contenders.len()];
    for round in 0..rounds {
        for _ in 0..samples {
            for i in random.order(contenders.len()) {
                let ns = sample(&mut contenders[i], &x, &mut y, calls[i]) / n as f64;
                least[i][round] = least[i][round].min(ns);
            }
        }
    }
    least.into_iter().map(median).collect()
}

fn calls_a_sample(contender: &mut Contender, x: &[f32], y: &mut [f32]) -> usize {
    sample(contender, x, y, 2);
    let mut calls = 1;
    while sample(contender, x, y, calls) * (calls as f64) < SAMPLE_NS {
        calls *= 2;
    }
    calls
}

/// ns a call.
fn sample(contender: &mut Contender, x: &[f32], y: &mut [f32], calls: usize) -> f64 {
    let start = cpu_ns();
    for _ in 0..calls {
        (contender.run)(std::hint::black_box(x), std::hint::black_box(y));
    }
    (cpu_ns() - start) / calls as f64
}

pub fn cpu_ns() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists and the structure is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A random order of `0..n`.
    fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
        order
    }
}
