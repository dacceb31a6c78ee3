//! A change ends where it changes nothing: recipes of four steps, of which a
//! change somewhere below reruns those alone whose inputs are other ones.
//!
//! What ran is counted three times: by the events of `--json`, by what the
//! builders themselves say while they run, and by the logs that are kept.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use osbuild_store::store::SourceTree;
use serde_json::Value;

use super::fixture::Fixture;
use super::host_root::host_root;

/// `numbers` keeps the lines of a source file that are no comments, `count`
/// counts them, `report` says how many there are, `release` holds both.
const ENTRY: &str = r#"
{ system ? "x86_64-linux", extraVariants ? [ ] }:
let
  step = name: inputs: script: derivation (inputs // {
    inherit name;
    system = builtins.currentSystem or system;
    builder = "/bin/sh";
    args = [ "-euc" "PATH=/usr/bin\necho \"builder of ${name} at work\"\n${script}" ];
    sandboxRoot = ./root;
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  });
  pkgs = {
    numbers = import ./pkgs/numbers/package.nix { inherit step; };
    count = import ./pkgs/count/package.nix { inherit step; inherit (pkgs) numbers; };
    report = import ./pkgs/report/package.nix { inherit step; inherit (pkgs) count; };
    release = import ./pkgs/release/package.nix { inherit step; inherit (pkgs) count report; };
  };
in
{ inherit pkgs; variants = { }; lib = { }; }
"#;

const NUMBERS: &str = r##"{ step }:
step "numbers" { source = ./numbers.txt; } ''
  while read -r line; do case $line in "#"*) ;; *) echo "$line";; esac; done < $source > $out
''
"##;

const COUNT: &str = r#"{ step, numbers }:
step "count" { inherit numbers; } ''
  n=0; while read -r line; do n=$((n + 1)); done < $numbers; echo $n > $out
''
"#;

const REPORT: &str = r#"{ step, count }:
step "report" { inherit count; } ''
  echo "there are $(cat $count)" > $out
''
"#;

const RELEASE: &str = r#"{ step, count, report }:
step "release" { inherit count report; } ''
  mkdir $out; cp $report $out/report; cp $count $out/count
''
"#;

const SOURCE: &str = "# these are numbers\n1\n2\n";

struct Recipes {
    fixture: Fixture,
    logs: BTreeSet<PathBuf>,
}

impl Recipes {
    fn new() -> Self {
        let recipes = Self { fixture: Fixture::new(), logs: BTreeSet::new() };
        std::fs::create_dir(recipes.fixture.place.path().join("variants")).unwrap();
        recipes.write("default.nix", ENTRY);
        for (name, text) in [("numbers", NUMBERS), ("count", COUNT), ("report", REPORT), ("release", RELEASE)]
        {
            recipes.write(&format!("pkgs/{name}/package.nix"), text);
        }
        recipes.write("pkgs/numbers/numbers.txt", SOURCE);
        write_tree(&host_root(), &recipes.fixture.place.path().join("recipes/root"));
        recipes
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.fixture.place.path().join("recipes").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Builds `release`; the steps that ran, in their order, and its path.
    fn build(&mut self) -> (Vec<String>, String) {
        let out = self.fixture.succeeds(&["build", "release", "--json", "-j", "1"]);
        let records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |event: &'static str| records.iter().filter(move |record| record["event"] == event);
        let name = |step: &Value| {
            let started = of("started").find(|record| record["step"] == *step).unwrap();
            started["name"].as_str().unwrap().to_owned()
        };
        let made: Vec<String> =
            of("finished").filter(|r| r["outcome"] == "made").map(|r| name(&r["step"])).collect();
        assert_eq!(of("started").count(), made.len(), "{out}");

        // The builders' own word.
        let said: Vec<&str> = of("line").map(|record| record["text"].as_str().unwrap()).collect();
        let expected: Vec<String> = made.iter().map(|name| format!("builder of {name} at work")).collect();
        assert_eq!(said, expected, "{out}");

        // And what is left of them.
        let logs = files(&self.fixture.home().join("log"));
        let mut new: Vec<String> =
            logs.difference(&self.logs).map(|log| std::fs::read_to_string(log).unwrap()).collect();
        new.sort();
        let mut expected: Vec<String> = expected.into_iter().map(|line| line + "\n").collect();
        expected.sort();
        assert_eq!(new, expected);
        self.logs = logs;

        let result = of("result").next().unwrap_or_else(|| panic!("no result in {out}"));
        (made, result["outputs"]["out"].as_str().unwrap_or_else(|| panic!("{result}")).to_owned())
    }

    fn report(&self) -> String {
        std::fs::read_to_string(self.fixture.place.path().join("result/report")).unwrap()
    }
}

fn files(directory: &Path) -> BTreeSet<PathBuf> {
    let entries = directory.read_dir().unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { BTreeSet::from([path]) }).collect()
}

fn write_tree(tree: &SourceTree, place: &Path) {
    match tree {
        SourceTree::Directory(members) => {
            std::fs::create_dir(place).unwrap();
            for (name, member) in members {
                write_tree(member, &place.join(std::ffi::OsStr::from_bytes(name)));
            }
        }
        SourceTree::Regular { path, .. } => {
            std::fs::copy(path, place).unwrap();
            std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        SourceTree::Symlink { target } => {
            std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), place).unwrap();
        }
        SourceTree::Bytes { .. } => panic!("the root is made of files"),
    }
}

#[test]
fn a_comment_in_the_lowest_recipe_reruns_that_step_alone() {
    let mut recipes = Recipes::new();
    let (ran, first) = recipes.build();
    assert_eq!(ran, ["numbers", "count", "report", "release"]);
    assert_eq!(recipes.report(), "there are 2\n");
    let none: [&str; 0] = [];
    assert_eq!(recipes.build(), (vec![], first.clone()));

    // In the source that the step reads, in the script that it runs, and in
    // the language, which no derivation holds.
    recipes.write("pkgs/numbers/numbers.txt", &SOURCE.replace("these", "those"));
    assert_eq!(recipes.build(), (vec!["numbers".to_owned()], first.clone()));
    let script = NUMBERS.replace("''\n  while", "''\n  # All but comments.\n  while");
    recipes.write("pkgs/numbers/package.nix", &script);
    assert_eq!(recipes.build(), (vec!["numbers".to_owned()], first.clone()));
    recipes.write("pkgs/numbers/package.nix", &format!("# All but comments.\n{script}"));
    assert_eq!(recipes.build().0, none);

    // What was there before is known from before.
    recipes.write("pkgs/numbers/package.nix", NUMBERS);
    recipes.write("pkgs/numbers/numbers.txt", SOURCE);
    assert_eq!(recipes.build(), (vec![], first));
    recipes.fixture.is_sound();
}

#[test]
fn a_change_goes_as_far_as_it_changes_anything() {
    let mut recipes = Recipes::new();
    let (_, first) = recipes.build();

    // Other numbers, and as many: two steps, of which the second is the last.
    recipes.write("pkgs/numbers/numbers.txt", &SOURCE.replace('2', "3"));
    assert_eq!(recipes.build(), (vec!["numbers".to_owned(), "count".to_owned()], first.clone()));
    // In the middle, where it ends at once.
    recipes.write("pkgs/count/package.nix", &COUNT.replace("''\n  n=0", "''\n  # One by one.\n  n=0"));
    assert_eq!(recipes.build(), (vec!["count".to_owned()], first.clone()));
    recipes.write("pkgs/report/package.nix", &REPORT.replace("''\n  echo", "''\n  # In words.\n  echo"));
    assert_eq!(recipes.build(), (vec!["report".to_owned()], first.clone()));

    // The counterpart: what does change everything runs everything.
    recipes.write("pkgs/numbers/numbers.txt", &format!("{SOURCE}3\n"));
    let (ran, other) = recipes.build();
    assert_eq!(ran, ["numbers", "count", "report", "release"]);
    assert_ne!(other, first);
    assert_eq!(recipes.report(), "there are 3\n");
    recipes.fixture.is_sound();
}
