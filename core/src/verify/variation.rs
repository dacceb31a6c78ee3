//! What is varied between two builds of the same step, and how far.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::build::Surroundings;
use crate::build::sandbox::{BuildFileSystem, Conditions, Particulars};

/// One thing that must not reach outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variation {
    /// `TZ`, a zone that no other has, most of a day ahead.
    Zone,
    /// `LANG`, `LC_ALL` and `LANGUAGE`: UTF-8 instead of none, which is all
    /// that every package root has.
    Locale,
    /// Names and numbers of the builder's user and group.
    Names,
    HostName,
    /// Where the builder works: another path, much longer.
    Path,
    /// `NIX_BUILD_CORES`; of a built-in builder, its threads.
    Cores,
    Umask,
    /// Numbers of the builder's child processes.
    ProcessIds,
    /// Of memory, programs and libraries.
    Addresses,
    /// What lies below the build directory.
    FileSystem,
    /// The wall clock and, with it, the times of new files.
    Clock,
    /// The order in which directories are read.
    DirectoryOrder,
    /// What the kernel calls itself.
    Kernel,
    /// The machine's memory.
    Memory,
}

use Variation::*;

/// All, in the order of reports; those that need no tracing first.
pub const VARIATIONS: [Variation; 14] = [
    Zone,
    Locale,
    Names,
    HostName,
    Path,
    Cores,
    Umask,
    ProcessIds,
    Addresses,
    FileSystem,
    Clock,
    DirectoryOrder,
    Kernel,
    Memory,
];

/// More than a year, so that the year changes whenever this runs, and no
/// multiple of weeks.
const CLOCK_OFFSET_SECONDS: i64 = 400 * 24 * 60 * 60;

impl Variation {
    pub fn name(self) -> &'static str {
        match self {
            Zone => "zone",
            Locale => "locale",
            Names => "names",
            HostName => "host-name",
            Path => "path",
            Cores => "cores",
            Umask => "umask",
            ProcessIds => "process-ids",
            Addresses => "addresses",
            FileSystem => "file-system",
            Clock => "clock",
            DirectoryOrder => "directory-order",
            Kernel => "kernel",
            Memory => "memory",
        }
    }

    /// What lets it through, in most programs that do.
    pub fn usual_difference(self) -> &'static str {
        match self {
            Zone => "a time of day in local time",
            Locale => "an order or a text by the language",
            Names => "the builder's user or group in an archive or a text",
            HostName => "the machine's name",
            Path => "the path of the build directory",
            Cores => "parallelism: what is divided, or put together, by how much runs at once",
            Umask => "modes of files that nobody set",
            ProcessIds => "a name or a seed made from the process id",
            Addresses => "an order by addresses in memory, or a seed made from one",
            FileSystem => "a size or an order that the file system gives",
            Clock => "a timestamp",
            DirectoryOrder => "an order of files that nobody sorted",
            Kernel => "the kernel that the builder runs on",
            Memory => "the builder's memory",
        }
    }

    /// Whether system calls have to be stopped for it.
    pub fn is_traced(self) -> bool {
        matches!(self, Clock | DirectoryOrder | Kernel | Memory)
    }

    /// Whether a probe found it done: by what it found without and with it.
    pub fn acted(self, without: &Particulars, with: &Particulars) -> bool {
        let differs = |name: &str| without.get(name) != with.get(name);
        match self {
            Zone => differs("time-zone"),
            Locale => differs("locale"),
            Names => {
                differs("user-id") && differs("group-id") && differs("user-names") && differs("group-names")
            }
            HostName => differs("host-name"),
            Path => differs("build-directory"),
            Cores => differs("cores"),
            Umask => differs("umask"),
            ProcessIds => differs("process-id"),
            Addresses => differs("addresses"),
            FileSystem => differs("file-system"),
            // Unless programs have another way to read it.
            Clock => {
                differs("clock-days")
                    && differs("file-days")
                    && with.get("clock-without-calls").is_some_and(|has| has == "0")
            }
            DirectoryOrder => differs("directory-order"),
            Kernel => differs("kernel-release") && differs("kernel-release-file"),
            Memory => differs("memory") && differs("memory-file"),
        }
    }
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Variation {
    type Err = UnknownVariation;

    fn from_str(text: &str) -> Result<Self, UnknownVariation> {
        VARIATIONS
            .into_iter()
            .find(|variation| variation.name() == text)
            .ok_or_else(|| UnknownVariation { name: text.to_owned() })
    }
}

/// A name that is no variation's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no variation '{name}'")]
pub struct UnknownVariation {
    pub name: String,
}

/// Some of them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variations(BTreeSet<Variation>);

impl Variations {
    pub fn none() -> Self {
        Self::default()
    }

    pub fn all() -> Self {
        VARIATIONS.into_iter().collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = Variation> + '_ {
        self.0.iter().copied()
    }

    pub fn contains(&self, variation: Variation) -> bool {
        self.0.contains(&variation)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one that it is, if it is one.
    pub fn only(&self) -> Option<Variation> {
        (self.0.len() == 1).then(|| self.0.first().copied()).flatten()
    }

    pub fn without(&self, variation: Variation) -> Self {
        self.iter().filter(|one| *one != variation).collect()
    }

    /// `all`, `none`, or names separated by commas, each with a minus before
    /// it to leave it out of those before (`all,-clock`).
    ///
    /// # Errors
    /// A name is no variation's.
    pub fn parse(text: &str) -> Result<Self, UnknownVariation> {
        let mut chosen = BTreeSet::new();
        for (index, word) in text.split(',').map(str::trim).enumerate() {
            match (word, word.strip_prefix('-')) {
                ("all", _) => chosen.extend(VARIATIONS),
                ("none", _) => chosen.clear(),
                (_, Some(name)) => {
                    if index == 0 {
                        chosen.extend(VARIATIONS);
                    }
                    chosen.remove(&name.parse()?);
                }
                (name, None) => {
                    chosen.insert(name.parse()?);
                }
            }
        }
        Ok(Self(chosen))
    }

    /// The surroundings that differ by these from the promised ones, and the
    /// number of cores; `normal` cores otherwise.
    pub fn surroundings(&self, normal: usize) -> (Surroundings, usize) {
        let mut conditions = Conditions::default();
        let mut variables = Vec::new();
        let mut cores = normal;
        for variation in self.iter() {
            match variation {
                Zone => variables.push(("TZ", "VAR-13:45".to_owned())),
                Locale => {
                    for (name, value) in [("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8"), ("LANGUAGE", "fr:de")] {
                        variables.push((name, value.to_owned()));
                    }
                }
                Names => {
                    "rebuilder".clone_into(&mut conditions.user_name);
                    "rebuilders".clone_into(&mut conditions.group_name);
                    (conditions.user_id, conditions.group_id) = (54_321, 9_876);
                }
                HostName => "another-host".clone_into(&mut conditions.host_name),
                Path => conditions.build_directory = format!("/build-{}", "elsewhere-".repeat(8)),
                // More than before, so that more runs at a time.
                Cores => cores = normal * 2 + 1,
                // None for others: what is meant for others must say so.
                Umask => conditions.umask = 0o027,
                ProcessIds => conditions.first_process_id = Some(20_011),
                Addresses => conditions.randomises_addresses = true,
                FileSystem => conditions.build_file_system = BuildFileSystem::Overlay,
                Clock => conditions.told.clock_offset_seconds = CLOCK_OFFSET_SECONDS,
                DirectoryOrder => conditions.told.reverses_directories = true,
                Kernel => conditions.told.kernel_release = Some("7.9.11-varied".to_owned()),
                Memory => conditions.told.memory_bytes = Some(3 << 30),
            }
        }
        (Surroundings { conditions, variables }, cores)
    }
}

impl FromIterator<Variation> for Variations {
    fn from_iter<I: IntoIterator<Item = Variation>>(variations: I) -> Self {
        Self(variations.into_iter().collect())
    }
}

impl fmt::Display for Variations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let names: Vec<&str> = self.iter().map(Variation::name).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_written() {
        for (text, expected) in [
            ("none", Variations::none()),
            ("all", Variations::all()),
            ("clock", [Clock].into_iter().collect()),
            ("zone,path", [Zone, Path].into_iter().collect()),
            ("all,-clock", Variations::all().without(Clock)),
            ("-clock", Variations::all().without(Clock)),
        ] {
            let parsed = Variations::parse(text).unwrap();
            assert_eq!(parsed, expected, "{text}");
            assert_eq!(Variations::parse(&parsed.to_string()).unwrap(), expected, "{parsed}");
        }
        assert_eq!(Variations::parse("zone,moon"), Err(UnknownVariation { name: "moon".to_owned() }));
    }

    #[test]
    fn every_variation_changes_the_surroundings() {
        let normal = Variations::none().surroundings(2);
        assert_eq!(normal, (Surroundings::default(), 2));
        for variation in VARIATIONS {
            let varied: Variations = [variation].into_iter().collect();
            assert_ne!(varied.surroundings(2), normal, "{variation}");
            assert_eq!(varied.surroundings(2).0.conditions.is_traced(), variation.is_traced(), "{variation}");
        }
    }
}
