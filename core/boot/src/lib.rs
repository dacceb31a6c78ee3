//! The law of slots.
#![no_std]
