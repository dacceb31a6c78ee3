//! What a builder finds around it that should not reach its outputs.

use crate::trace::Told;

/// The particulars of a sandbox. The default is what builds are promised; all
/// else is for finding out what reaches outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    pub user_name: String,
    pub group_name: String,
    /// Neither is 0, which is root's, nor 65534, which is nobody's.
    pub user_id: u32,
    pub group_id: u32,
    pub host_name: String,
    /// Absolute, of one component that no package root has: where builders
    /// work.
    pub build_directory: String,
    pub umask: u32,
    /// Where the kernel begins to look for process ids, after that of the
    /// builder itself, which is 1.
    pub first_process_id: Option<u32>,
    /// Whether programs and their memory lie at other addresses each time.
    pub randomises_addresses: bool,
    pub build_file_system: BuildFileSystem,
    pub told: Told,
}

/// What lies below the directory that builders work in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildFileSystem {
    /// The store's.
    Store,
    /// An overlay above that: other devices, other numbers of files, another
    /// order of directories.
    Overlay,
}

impl Default for Conditions {
    /// As Nix has them, where it says so.
    fn default() -> Self {
        Self {
            user_name: "nixbld".to_owned(),
            group_name: "nixbld".to_owned(),
            user_id: 1000,
            group_id: 100,
            host_name: "localhost".to_owned(),
            build_directory: "/build".to_owned(),
            umask: 0o022,
            first_process_id: None,
            randomises_addresses: false,
            build_file_system: BuildFileSystem::Store,
            told: Told::default(),
        }
    }
}

impl Conditions {
    /// Whether system calls are stopped and answered otherwise.
    pub fn is_traced(&self) -> bool {
        !self.told.is_the_truth()
    }

    /// `/etc/passwd` inside.
    pub(crate) fn passwd(&self) -> String {
        let Self { user_name, user_id, group_id, build_directory, .. } = self;
        format!(
            "root:x:0:0:root:{build_directory}:/noshell\n\
             {user_name}:x:{user_id}:{group_id}:build user:{build_directory}:/noshell\n\
             nobody:x:65534:65534:nobody:/:/noshell\n"
        )
    }

    /// `/etc/group` inside.
    pub(crate) fn group(&self) -> String {
        format!("root:x:0:\n{}:!:{}:\nnogroup:x:65534:\n", self.group_name, self.group_id)
    }
}
