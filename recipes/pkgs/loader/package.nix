# The UEFI loader: picks a slot by the law and starts its kernel image. The
# SDK's compiler has no library for UEFI, so `core` and `alloc` are built too.
{ lib }:
let
  root = ../../..;
  folder = "recipes/agents";
  manifest = fromTOML (builtins.readFile (root + "/${folder}/loader/Cargo.toml"));
  members = (fromTOML (builtins.readFile (root + "/${folder}/Cargo.toml"))).workspace.members;
  platform = lib.systems.${lib.system};
  crates = lib.cargoSources {
    name = "loader";
    # The second is the compiler's own: what its `core` and `alloc` name.
    lockFiles = [
      (root + "/${folder}/Cargo.lock")
      ../../locks/rust-std.Cargo.lock
    ];
  };
in
lib.mkDerivation {
  pname = manifest.package.name;
  version = (fromTOML (builtins.readFile (root + "/${folder}/Cargo.toml"))).workspace.package.version;
  sdk = lib.sdk.rust;
  src = lib.source {
    name = "loader-source";
    inherit root;
    include = [
      "${folder}/Cargo.toml"
      "${folder}/Cargo.lock"
      "${folder}/loader"
      "core/boot"
    ]
    ++ map (member: "${folder}/${member}/Cargo.toml") members
    ++ [
      "core/delta/Cargo.toml"
      "core/format/Cargo.toml"
      "core/install/Cargo.toml"
      "core/transfer/Cargo.toml"
      "core/tuf/Cargo.toml"
      "core/update/Cargo.toml"
    ];
  };
  crates = lib.cratesBelow (root + "/${folder}/Cargo.lock") manifest.package.name;
  env = {
    # Unstable options of a stable compiler: -Zbuild-std is one.
    RUSTC_BOOTSTRAP = "1";
    CARGO_TARGET_X86_64_UNKNOWN_UEFI_LINKER = "/usr/bin/lld-link";
    # Without the first the linker writes the time into the PE header. Without
    # the second it names a debug database by a hash over the compiler's
    # temporary paths, which differ in every run. Panic messages name source
    # files; those must not name the store, or every disk would keep the crates.
    RUSTFLAGS = "-Clink-arg=/Brepro -Clink-arg=/DEBUG:NONE --remap-path-prefix=${crates}=/crates";
  };
  configurePhase = lib.configureCargo crates;
  buildPhase = ''
    cd ${folder}
    cargo build --release --frozen -p osbuild-loader --target ${platform.uefiTarget} \
      -Zbuild-std=core,alloc,compiler_builtins -Zbuild-std-features=compiler-builtins-mem \
      -j "$NIX_BUILD_CORES"
  '';
  installPhase = ''
    install -D -m 0644 ${folder}/target/${platform.uefiTarget}/release/*.efi "$out/usr/lib/osbuild/loader.efi"
  '';
  meta = {
    description = "UEFI loader that obeys the law of slots";
    license = "MIT OR Apache-2.0";
    homepage = null;
  };
}
