//! The memory of generated code (`scrimp::model::Arena`) and its constants: what is lent is where its type says, and what
//! must not be read is refused.

use scrimp::Error;
use scrimp::model::{Aligned, Arena, Constants, Get, Once, Set, Slot};

type Bytes = Slot<i8, 0, 5>;
type Halves = Slot<i16, 6, 4>;
type Words = Slot<i32, 16, 3>;
type Longs = Slot<i64, 32, 2>;
type Floats = Slot<f32, 28, 1>;

#[test]
fn slots_lie_where_their_types_say() {
    let mut arena = Arena::<48>::new();
    let start = &raw const arena as usize;
    assert!(start.is_multiple_of(16));
    let (bytes, halves, words, floats, longs) =
        arena.pick::<(Set<Bytes>, Set<Halves>, Set<Words>, Set<Floats>, Set<Longs>)>();
    assert_eq!(halves.as_ptr() as usize - start, 6);
    assert_eq!(words.as_ptr() as usize - start, 16);
    assert_eq!(longs.as_ptr() as usize - start, 32);
    (*bytes, *halves, *words, *floats, *longs) = ([-1; 5], [-2; 4], [-3; 3], [0.5], [-4; 2]);
    let (bytes, halves, words, floats, longs, again) =
        arena.pick::<(Get<Bytes>, Get<Halves>, Get<Words>, Get<Floats>, Get<Longs>, Get<Bytes>)>();
    assert_eq!((bytes, halves, words), (&[-1; 5], &[-2; 4], &[-3; 3]));
    assert_eq!((floats[0].to_bits(), longs, again), (0.5f32.to_bits(), &[-4; 2], bytes));
}

#[test]
fn one_slot_is_another_ones_bytes_later() {
    let mut arena = Arena::<16>::new();
    let (words,) = arena.pick::<(Set<Slot<u32, 0, 1>>,)>();
    *words = [0x0403_0201];
    let (bytes,) = arena.pick::<(Get<Slot<u8, 1, 3>>,)>();
    assert_eq!(bytes, &[2, 3, 4]);
}

#[test]
fn slots_that_are_only_read_may_share_bytes() {
    let mut arena = Arena::<16>::new();
    let (all, half) = arena.pick::<(Get<Slot<i8, 0, 16>>, Get<Slot<i16, 8, 4>>)>();
    assert_eq!((all.len(), half.len()), (16, 4));
}

static BYTES: Aligned<[u8; 24]> =
    Aligned([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 0xFF]);

#[test]
fn constants_are_read_in_place() -> Result<(), Error> {
    let data = Constants::new(&BYTES);
    assert_eq!(data.i8s(22, 2)?, [23, -1]);
    assert_eq!(data.u8s(23, 1)?, [255]);
    assert_eq!(data.i16s(2, 2)?, [0x0403, 0x0605]);
    assert_eq!(data.i32s(4, 1)?, [0x0807_0605]);
    assert_eq!(data.words(16, 2)?, [0x1413_1211, 0xFF17_1615]);
    assert_eq!(data.i64s(8, 1)?, [0x100F_0E0D_0C0B_0A09]);
    assert_eq!(data.f32s(0, 1)?[0].to_bits(), 0x0403_0201);
    assert_eq!(data.i32s(24, 0)?, [0; 0]);
    Ok(())
}

#[test]
fn constants_beyond_the_end_or_misaligned_are_refused() {
    let data = Constants::new(&BYTES);
    assert!(data.i8s(23, 1).is_ok() && data.i8s(23, 2).is_err() && data.i8s(24, 1).is_err());
    assert!(data.i32s(20, 1).is_ok() && data.i32s(20, 2).is_err());
    assert!(data.i16s(1, 1).is_err() && data.i32s(2, 1).is_err() && data.i64s(4, 1).is_err());
    assert!(data.i32s(0, usize::MAX).is_err() && data.i32s(usize::MAX - 3, 1).is_err());
}

#[test]
fn what_is_lent_once_is_lent_to_one() {
    static ONCE: Once<Arena<16>> = Once::new(Arena::new());
    let lent = std::thread::scope(|scope| {
        let takers: Vec<_> = (0..8).map(|_| scope.spawn(|| ONCE.take().is_some())).collect();
        takers.into_iter().map(|taker| taker.join().expect("no panic")).filter(|&is_lent| is_lent).count()
    });
    assert_eq!(lent, 1);
}
