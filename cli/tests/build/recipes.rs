//! Recipes and variants that are wrong, in a copy of the project and in folders
//! beside it.

use std::path::Path;

use super::fixture::Fixture;

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The fixture's place is a project: the recipes and variants of this one, but
/// for the agents' sources.
fn project() -> Fixture {
    let fixture = Fixture::new();
    let real = Path::new(PROJECT);
    for name in ["recipes/lib", "recipes/locks", "recipes/pkgs", "variants"] {
        copy(&real.join(name), &fixture.place.path().join(name));
    }
    std::fs::copy(real.join("recipes/default.nix"), fixture.place.path().join("recipes/default.nix"))
        .unwrap();
    fixture
}

fn write(fixture: &Fixture, name: &str, text: &str) {
    let path = fixture.place.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const META: &str = "meta = { description = \"d\"; license = \"MIT\"; homepage = null; };";

#[test]
fn a_recipe_error_names_file_line_and_column() {
    let fixture = project();
    let good = format!("{{ lib }}:\nlib.writeTree {{\n  pname = \"mine\";\n  {META}\n}}\n");
    for (bad, expected) in [
        (
            good.replace("\"mine\";", "\"mine\""),
            &["error: syntax error, unexpected ", "at PLACE/recipes/pkgs/mine/package.nix:4:8\n"][..],
        ),
        (
            good.replace("\"mine\"", "mien"),
            &["error: undefined variable 'mien'\n", "at PLACE/recipes/pkgs/mine/package.nix:3:11\n"],
        ),
        (
            good.replace("writeTree", "writeTre"),
            &[
                "error: attribute 'writeTre' missing\n",
                "at PLACE/recipes/pkgs/mine/package.nix:2:1\n",
                "hint: did you mean writeTree?",
            ],
        ),
        (
            good.replace("pname = \"mine\"", "pnam = \"mine\""),
            &[
                "error: function 'writeTree' called without required argument 'pname'",
                "PLACE/recipes/pkgs/mine/package.nix:2:1",
            ],
        ),
        (
            good.replace("\"mine\"", "1 + \"mine\""),
            &["error: cannot add a string to an integer", "at PLACE/recipes/pkgs/mine/package.nix:3:13\n"],
        ),
    ] {
        write(&fixture, "recipes/pkgs/mine/package.nix", &bad);
        fixture.fails(&["build", "mine"], 1, expected);
    }
    write(&fixture, "recipes/pkgs/mine/package.nix", &good);
    fixture.succeeds(&["build", "mine"]);
}

#[test]
fn a_variant_that_is_wrong_names_the_option_and_where_it_was_set() {
    let fixture = Fixture::new();
    for (text, expected) in [
        (
            "{ ... }:\n{\n  config.kernel.comandLine = [ \"quiet\" ];\n}\n",
            "error: unknown option 'kernel.comandLine' at PLACE/my-os/variant.nix:3; did you mean 'kernel.commandLine'?",
        ),
        (
            "{ ... }:\n{\n  config.data.sizeMiB = \"large\";\n}\n",
            "error: option 'data.sizeMiB' must be an integer of at least 1, but \"large\" was given at PLACE/my-os/variant.nix:3",
        ),
    ] {
        write(&fixture, "my-os/variant.nix", text);
        fixture.fails(&["--root", PROJECT, "build", "--dry-run", "./my-os"], 1, &[expected]);
    }
    write(&fixture, "my-os/variant.nix", "{ ... }:\n{\n  config.data.sizeMiB = 512;\n}\n");
    fixture.succeeds(&["--root", PROJECT, "eval", "--raw", "./my-os#name"]);
}

#[test]
fn an_unknown_target_names_the_nearest() {
    let fixture = project();
    for (words, expected) in [
        (
            &["build", "quemu-dev"][..],
            "error: there is no package or variant 'quemu-dev'\n\
             hint: did you mean qemu-dev? `osbuild list` shows what there is\n",
        ),
        (
            &["eval", "something-else"],
            "error: there is no package or variant 'something-else'\nhint: `osbuild list` shows what there is\n",
        ),
        (&["build", "./my-os"], "error: target './my-os' does not exist\nhint: a target is a variant, "),
        (
            &["build", "./variants"],
            "error: folder 'PLACE/variants' holds neither variant.nix nor default.nix\n",
        ),
        (&["build", "--root", "variants", "x"], "error: variants is no project: "),
    ] {
        fixture.fails(words, 2, &[expected]);
    }
}

#[test]
fn packages_that_bring_the_same_path_are_both_named() {
    let fixture = project();
    let folder = |second: &str| {
        format!(
            "{{ lib, ... }}:\nlet\n  package = pname: text: lib.writeTree {{ inherit pname; files.\"usr/lib/motd\".text = text; {META} }};\n  \
             describe = p: {{ inherit (p) pname version; path = p; inherit (p.image) exclude; }};\nin\n\
             lib.builtinDerivation {{\n  builder = \"link-root\";\n  name = \"root\";\n  outputs = [ \"out\" \"report\" ];\n  \
             packages = map describe [ (package \"one\" \"1\") (package \"two\" \"{second}\") ];\n  osRelease = {{ }};\n}}\n"
        )
    };
    write(&fixture, "clash/default.nix", &folder("2"));
    fixture.fails(
        &["build", "./clash", "--quiet"],
        1,
        &[
            "error: builtin:link-root failed: packages do not fit together: 1 conflict(s)\n",
            "/usr/lib/motd: one and two both bring it, with different contents\n",
            "`image.exclude` leaves a file of a package out",
            "while building: root\n",
        ],
    );
    write(&fixture, "clash/default.nix", &folder("1"));
    fixture.succeeds(&["build", "./clash"]);
}
