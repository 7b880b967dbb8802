//! What the `scrimp` binary does, as functions: models in and out, pictures in and out, test vectors, users' networks.

pub mod bench;
pub mod blob;
pub mod calibrate;
pub mod calibration;
pub mod check;
pub mod classify;
pub mod compile;
pub mod convert;
pub mod dataset;
pub mod deblur;
pub mod description;
pub mod encoder;
pub mod evaluate;
pub mod inspect;
pub mod inspect_tflite;
pub mod kept;
pub mod output;
pub mod paired;
pub mod picture;
pub mod pretrained;
pub mod profile;
pub mod quantize;
pub mod replay;
pub mod run;
pub mod switching;
pub mod transformer;
