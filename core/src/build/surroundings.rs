//! What a build finds around it that should not reach its outputs.

use osbuild_sandbox::Conditions;

/// The default is what builds are promised; all else is for finding out what
/// reaches outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    pub conditions: Conditions,
    /// Variables that no derivation asked for; those of a derivation win.
    pub variables: Vec<(&'static str, String)>,
}
