//! The conformance suite: one list of cases, run on every backend of the host and on every board.
#![no_std]
