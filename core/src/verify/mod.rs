//! Whether steps come out the same again, however their surroundings vary; and
//! if not, which byte, and why.
//!
//! Every step runs once more from the inputs that its first run had. So the
//! step that differs is the one that is at fault, and none is blamed for its
//! inputs.

pub mod blame;
pub mod junit;
pub mod owners;
pub mod page;
pub mod report;
pub mod rounds;
pub mod steps;
pub mod table;
pub mod variation;
pub mod verdict;

pub use variation::{VARIATIONS, Variation, Variations};
