//! A release into the slot that does not run, so that whatever is cut whenever
//! leaves a node that starts: the old release or the new one, whole.
//!
//! The order of an update is the order of the types, and only the last can be
//! activated: [`Preflight`] → [`Plan`] → [`Emptied`] → [`Writing`] →
//! [`Verified`]. Bytes are pushed, in any order and however they came; each
//! block is judged by the hash tree before it is written, and everything again
//! as it is read back from the medium. What an operator may order beside that
//! is in [`orders`], the boot loader's turn in [`loader`].
//!
//! Which bits may change when is the law's (`osbuild-boot`), obeyed here and
//! nowhere else decided. The crate opens nothing, fetches nothing and has no
//! clock: it works on a [`Medium`] and a [`Record`], and whoever implements
//! them holds the one lock of the partition table around [`Plan::begin`],
//! [`Verified::activate`] and each of the orders, and not around
//! [`Examined::read`]. Who has signed a manifest was
//! found out before it comes here.

mod preflight;
mod writing;

mod verified;

pub mod orders;

pub mod loader;

mod examine;
mod kernel;
mod tree;

mod change;
mod error;
mod extent;
mod medium;

pub use error::{Error, Result};
pub use examine::{Contents, Examined, Whole};
pub use kernel::{NoRelease, Says, VerityDevice};
pub use medium::{Medium, Record};
pub use preflight::{Bars, Node, Plan, Preflight, Refusal, SinceStart};
pub use verified::Verified;
pub use writing::{Emptied, Writing};
