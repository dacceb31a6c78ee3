//! Derivation paths, compared with real Nix's byte for byte.

use std::path::Path;
use std::sync::Arc;

use osbuild_core::instantiate::sink::Computing;
use osbuild_core::instantiate::{Arguments, Output, Session, SessionOptions, Source};

#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod judge;

/// Attributes that each make a derivation; those of one name may use `base`.
const CASES: &[(&str, &str)] = &[
    ("plain", "{ }"),
    ("arguments", "{ args = [ \"-e\" 1 true null [ 2 [ ] 3 ] ./lang/data/text.txt ]; }"),
    (
        "environment",
        "{ t = true; f = false; n = null; i = -5; d = 1.5; l = [ \"a\" [ ] \"b\" [ [ ] ] ]; e = \"\"; q = \"\\\"\\\\\\n\\r\\t$\"; u = \"ü\"; }",
    ),
    ("outputs", "{ outputs = [ \"out\" \"dev\" \"bin\" ]; }"),
    ("outputs-order", "{ outputs = [ \"lib\" \"bin\" ]; }"),
    (
        "fixed-flat-hex",
        "{ outputHash = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"; outputHashAlgo = \"sha256\"; }",
    ),
    (
        "fixed-flat-sri",
        "{ outputHash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; outputHashMode = \"flat\"; }",
    ),
    (
        "fixed-nix32",
        "{ outputHash = \"0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73\"; outputHashAlgo = \"sha256\"; outputHashMode = \"recursive\"; }",
    ),
    ("fixed-colon-base64", "{ outputHash = \"sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; }"),
    (
        "fixed-recursive",
        "{ outputHash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; outputHashMode = \"recursive\"; }",
    ),
    (
        "fixed-sha1",
        "{ outputHash = \"da39a3ee5e6b4b0d3255bfef95601890afd80709\"; outputHashAlgo = \"sha1\"; }",
    ),
    (
        "fixed-sha1-recursive",
        "{ outputHash = \"sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709\"; outputHashMode = \"recursive\"; }",
    ),
    ("fixed-md5", "{ outputHash = \"d41d8cd98f00b204e9800998ecf8427e\"; outputHashAlgo = \"md5\"; }"),
    (
        "fixed-sha512",
        "{ outputHash = \"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==\"; outputHashMode = \"recursive\"; }",
    ),
    ("fixed-empty", "{ outputHash = \"\"; outputHashAlgo = \"sha256\"; }"),
    (
        "fixed-sha1-nix32",
        "{ outputHash = \"143xibwh31h9bvxzalr0sjvbbvpa6ffs\"; outputHashAlgo = \"sha1\"; outputHashMode = \"recursive\"; }",
    ),
    ("fixed-md5-base64", "{ outputHash = \"1B2M2Y8AsgTpgAmY7PhCfg==\"; outputHashAlgo = \"md5\"; }"),
    ("fixed-md5-sri", "{ outputHash = \"md5-1B2M2Y8AsgTpgAmY7PhCfg==\"; outputHashAlgo = null; }"),
    ("fixed-md5-colon", "{ outputHash = \"md5:d41d8cd98f00b204e9800998ecf8427e\"; }"),
    (
        "fixed-sha512-hex",
        "{ outputHash = builtins.hashString \"sha512\" \"\"; outputHashAlgo = \"sha512\"; outputHashMode = \"nar\"; }",
    ),
    (
        "fixed-sha512-converted",
        "{ outputHash = builtins.convertHash { hash = builtins.hashString \"sha512\" \"x\"; hashAlgo = \"sha512\"; toHashFormat = \"nix32\"; }; outputHashAlgo = \"sha512\"; }",
    ),
    (
        "fixed-sha1-recursive-empty",
        "{ outputHash = \"\"; outputHashAlgo = \"sha1\"; outputHashMode = \"recursive\"; }",
    ),
    ("output-named-drv", "{ outputs = [ \"drv\" \"out\" ]; }"),
    ("outputs-from-string", "{ outputs = [ \"a\" ]; }"),
    ("many-outputs", "{ outputs = builtins.genList (n: \"o${toString n}\") 12; }"),
    (
        "own-references",
        "{ outputs = [ \"out\" \"lib\" ]; flags = \"--prefix=${placeholder \"out\"} --lib=${placeholder \"lib\"}\"; }",
    ),
    ("to-string-twice", "{ a = { __toString = s: { outPath = plain; }; }; }"),
    ("environment-names", "{ \"with space\" = 1; \"ü\" = 2; \"a.b\" = 3; \"\" = 4; Z = 5; _ = 6; }"),
    (
        "environment-control",
        "{ a = \"tab\\tcr\\rnl\\nquote\\\"back\\\\\"; b = builtins.fromJSON \"\\\"\\\\u0001\\\\u007f\\\"\"; }",
    ),
    (
        "structured-control",
        "{ __structuredAttrs = true; a = builtins.fromJSON \"\\\"\\\\u0001\\\\u007f/\\\"\"; f = [ 1.0 0.1 1.0e30 (-5) ]; }",
    ),
    (
        "structured-paths",
        "{ __structuredAttrs = true; p = ./lang/data/text.txt; d = { inherit plain; list = [ many.dev ]; }; }",
    ),
    (
        "structured-checks",
        "{ __structuredAttrs = true; outputChecks.out.maxSize = 10; exportReferencesGraph.g = [ plain ]; }",
    ),
    ("export-references", "{ exportReferencesGraph = [ \"graph\" plain ]; }"),
    (
        "no-chroot-and-lists",
        "{ allowedReferences = [ ]; disallowedReferences = [ plain ]; requiredSystemFeatures = [ \"kvm\" ]; preferLocalBuild = true; }",
    ),
    (
        "nested-to-file",
        "{ a = builtins.toFile \"a\" \"${builtins.toFile \"b\" \"${builtins.toFile \"c\" \"\"}\"}\"; }",
    ),
    ("substring-context", "{ a = builtins.substring 0 0 \"${plain}\"; }"),
    ("json-context", "{ a = builtins.toJSON { x = [ plain many.dev ]; y = ./lang/data/text.txt; }; }"),
    ("xml-context", "{ a = builtins.toXML { inherit (plain) outPath; }; }"),
    (
        "fixed-chain",
        "{ src = make \"a\" { outputHash = hash; src = make \"b\" { outputHash = hash; dep = plain; }; }; }",
    ),
    (
        "symlink-source",
        "{ src = builtins.path { path = ./lang/data; name = \"tree\"; filter = p: t: t != \"unknown\"; }; }",
    ),
    ("system-other", "{ system = \"aarch64-linux\"; }"),
    (
        "builder-builtin",
        "{ builder = \"builtin:fetchurl\"; url = \"http://localhost/x\"; urls = [ ]; outputHash = hash; preferLocalBuild = true; }",
    ),
    ("fixed-input", "{ src = fixed; }"),
    ("fixed-input-other-recipe", "{ src = fixed.overrideRecipe; }"),
    ("structured", "{ __structuredAttrs = true; a = { z = [ 1 1.5 null true ]; \"ä\" = \"x\\ny\"; }; }"),
    ("structured-outputs", "{ __structuredAttrs = true; outputs = [ \"out\" \"dev\" ]; dep = plain; }"),
    ("structured-nulls", "{ __structuredAttrs = true; __ignoreNulls = true; n = null; args = [ \"x\" ]; }"),
    (
        "structured-fixed",
        "{ __structuredAttrs = true; outputHash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; outputHashMode = \"recursive\"; src = ./lang/data; }",
    ),
    ("structured-not", "{ __structuredAttrs = false; a = 1; }"),
    ("ignore-nulls", "{ __ignoreNulls = true; n = null; m = 1; }"),
    ("ignore-nulls-not", "{ __ignoreNulls = false; n = null; }"),
    (
        "placeholder",
        "{ outputs = [ \"out\" \"dev\" ]; prefix = placeholder \"out\"; d = placeholder \"dev\"; }",
    ),
    ("pass-as-file", "{ passAsFile = [ \"text\" ]; text = \"long\"; }"),
    ("input", "{ dep = plain; }"),
    ("input-twice", "{ a = plain; b = \"${plain}/bin\"; }"),
    ("input-output", "{ a = many.dev; b = many.bin; }"),
    ("input-all-outputs", "{ all = map (o: o) many.all; }"),
    ("input-chain", "{ a = deep; }"),
    ("input-drv-deep", "{ a = plain.drvPath; }"),
    ("input-drv-deep-chain", "{ a = deep.drvPath; }"),
    ("input-drv-opaque", "{ a = builtins.unsafeDiscardOutputDependency deep.drvPath; }"),
    ("input-drv-no-context", "{ a = builtins.unsafeDiscardStringContext deep.drvPath; }"),
    ("input-builder", "{ builder = \"${plain}/bin/sh\"; }"),
    ("source-file", "{ src = ./lang/data/text.txt; }"),
    ("source-directory", "{ src = ./lang/data; }"),
    ("source-interpolated", "{ a = \"${./lang/data}/dir\"; }"),
    (
        "source-path",
        "{ src = builtins.path { path = ./lang/data; name = \"renamed\"; filter = p: t: t != \"regular\" || baseNameOf p == \"x\"; }; }",
    ),
    ("source-flat", "{ src = builtins.path { path = ./lang/data/text.txt; recursive = false; }; }"),
    ("source-filter", "{ src = builtins.filterSource (p: t: baseNameOf p != \"text.txt\") ./lang/data; }"),
    ("to-file", "{ f = builtins.toFile \"script\" \"echo\"; }"),
    ("to-file-references", "{ f = builtins.toFile \"outer\" \"see ${builtins.toFile \"inner\" \"x\"}\"; }"),
    ("to-file-source", "{ f = builtins.toFile \"outer\" \"see ${./lang/data/text.txt}\"; }"),
    (
        "floating",
        "{ __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \"sha256\"; }",
    ),
    ("floating-default", "{ __contentAddressed = true; }"),
    ("floating-flat", "{ __contentAddressed = true; outputHashMode = \"flat\"; outputHashAlgo = \"sha1\"; }"),
    ("floating-outputs", "{ __contentAddressed = true; outputs = [ \"out\" \"dev\" ]; }"),
    (
        "floating-structured",
        "{ __contentAddressed = true; __structuredAttrs = true; a = [ 1 ]; dep = floating; }",
    ),
    ("floating-input", "{ __contentAddressed = true; dep = floating; }"),
    ("deferred", "{ dep = floating; }"),
    ("deferred-outputs", "{ outputs = [ \"out\" \"dev\" ]; dep = floating.dev; }"),
    ("deferred-above-deferred", "{ dep = deferred; }"),
    ("deferred-drv-deep", "{ dep = deferred.drvPath; }"),
    (
        "fixed-above-floating",
        "{ dep = floating; outputHash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; }",
    ),
    ("above-fixed-above-floating", "{ dep = fixedAboveFloating; }"),
    ("merged-inputs", "{ a = fixed; b = fixed.overrideRecipe; c = plain; }"),
    (
        "append-context",
        "{ a = builtins.appendContext \"x\" { ${builtins.unsafeDiscardStringContext plain.drvPath} = { outputs = [ \"out\" ]; }; }; }",
    ),
    (
        "functor-to-string",
        "{ a = { __toString = self: \"s-${self.p}\"; p = plain; }; b = { outPath = ./lang/data/text.txt; }; }",
    ),
];

const BASE: &str = r#"
let
  make = name: more: derivation ({ inherit name; system = "x86_64-linux"; builder = "/bin/sh"; } // more);
  plain = make "plain" { };
  many = make "many" { outputs = [ "out" "dev" "bin" ]; };
  deep = make "deep" { a = many.dev; b = make "middle" { inherit plain; f = builtins.toFile "t" "${./lang/data/text.txt}"; }; };
  hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
  fixed = make "fixed" { outputHash = hash; } // { overrideRecipe = make "fixed" { outputHash = hash; how = "otherwise"; }; };
  floating = make "floating" { __contentAddressed = true; outputs = [ "out" "dev" ]; };
  deferred = make "deferred" { dep = floating; };
  fixedAboveFloating = make "fixed-above" { dep = floating; outputHash = hash; };
in
"#;

fn program() -> String {
    let mut text = BASE.to_owned();
    text.push_str("builtins.mapAttrs (name: more: let d = make name more; in [ d.drvPath ] ++ map (o: o.outPath) d.all) {\n");
    for (name, attrs) in CASES {
        text.push_str(&format!("  {name} = {attrs};\n"));
    }
    text.push_str("}\n");
    text
}

#[test]
fn every_path_is_that_of_real_nix() {
    let Some(mut command) = judge::judge("nix-instantiate") else { return };
    // Deep contexts need derivations that really were written.
    let store = tempfile::tempdir().expect("a temporary directory");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    command
        .args([
            "--extra-experimental-features",
            "ca-derivations",
            "--eval",
            "--read-write-mode",
            "--strict",
            "--json",
            "-E",
        ])
        .arg(program())
        .current_dir(&directory)
        .arg("--store")
        .arg(store.path());
    let output = command.output().expect("the judge starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: serde_json::Value = serde_json::from_slice(&output.stdout).expect("the judge prints JSON");

    let options = SessionOptions { message: Arc::new(|_| ()), ..SessionOptions::default() };
    let mut session = Session::new(options, Arc::new(Computing::default()));
    let source = Source::Expression { text: program(), directory };
    let ours = session
        .eval(&source, "", &Arguments::new(), Output::Json { strict: true })
        .expect("the cases evaluate");
    let ours: serde_json::Value = serde_json::from_slice(&ours).expect("JSON is written");

    let wrong: Vec<String> = CASES
        .iter()
        .filter(|(name, _)| ours[name] != theirs[name])
        .map(|(name, _)| format!("{name}:\n  ours   {}\n  theirs {}", ours[name], theirs[name]))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

/// `import` of a derivation's file. Only newer releases of the judge find that
/// file in a store elsewhere; 2.34.8 prints the same.
#[test]
fn an_imported_derivation_is_the_same() {
    let program = format!(
        "{BASE} let i = import many.drvPath; f = import fixed.drvPath; in [ \
         (i == many) (i.drvPath == many.drvPath) (i.outPath == many.outPath) (map (o: o.outputName) i.all) \
         (builtins.getContext i.drvPath == builtins.getContext many.drvPath) \
         (builtins.getContext i.dev.outPath == builtins.getContext many.dev.outPath) \
         i.name f.name (builtins.attrNames i) ]"
    );
    let options = SessionOptions { message: Arc::new(|_| ()), ..SessionOptions::default() };
    let mut session = Session::new(options, Arc::new(Computing::default()));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let source = Source::Expression { text: program, directory };
    let printed =
        session.eval(&source, "", &Arguments::new(), Output::Json { strict: true }).expect("it evaluates");
    assert_eq!(
        String::from_utf8_lossy(&printed),
        "[false,true,false,[\"bin\",\"dev\",\"out\"],true,true,\"many\",\"fixed\",\
         [\"all\",\"bin\",\"dev\",\"drvPath\",\"name\",\"out\",\"outPath\",\"outputName\",\"type\"]]"
    );
}
