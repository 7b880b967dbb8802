// error[E0603]: trait `CodeRows` is private
// error[E0603]: struct `CodeStep` is private
// error[E0603]: struct `Codes` is private
// error[E0603]: trait `DotRows` is private
// error[E0603]: trait `F32Rows` is private
// error[E0603]: struct `LayerS16` is private
// error[E0603]: struct `LayerS8` is private
// error[E0603]: struct `OutputsS8` is private
// error[E0603]: trait `QRows` is private
// error[E0603]: enum `Quotient` is private
// error[E0603]: struct `Requantize` is private
// error[E0603]: struct `S8Row` is private
// error[E0603]: struct `S8Values` is private
// error[E0603]: trait `StableRows` is private
// error[E0603]: type alias `Weights` is private
use scrimp::backend::{
    CodeRows, CodeStep, Codes, DotRows, F32Rows, LayerS8, LayerS16, OutputsS8, QRows, Quotient, Requantize, S8Row,
    S8Values, StableRows, Weights,
};

fn main() {}
