//! The image builders from outside: what they write is read by the field's own
//! tools, and by our own reader.

mod fixture;
#[path = "../../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

mod bills;
mod golden;
mod kernel;
mod root;
mod rules;
mod sign;
mod slot;
mod stub;
