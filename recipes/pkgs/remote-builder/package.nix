# What runs a build on a cluster's machines: static, since they hold nothing
# that it could be linked against. All of it is in the digest of every remote
# action, so it is built here, where it comes out the same for everybody.
{ lib }:
let
  root = ../../..;
  folder = "core/builder";
  manifest = fromTOML (builtins.readFile (root + "/${folder}/Cargo.toml"));
  crates = lib.cargoSources {
    name = "remote-builder";
    lockFiles = [ (root + "/${folder}/Cargo.lock") ];
  };
  target = "x86_64-unknown-linux-gnu";
in
lib.mkDerivation {
  pname = "remote-builder";
  inherit (manifest.package) version;
  sdk = lib.sdk.rust;
  src = lib.source {
    name = "remote-builder-source";
    inherit root;
    include = [
      "${folder}/Cargo.toml"
      "${folder}/Cargo.lock"
      "${folder}/src"
      "core/sandbox/Cargo.toml"
      "core/sandbox/src"
      "store/nar/Cargo.toml"
      "store/nar/src"
    ];
  };
  env.RUSTFLAGS = "-C target-feature=+crt-static -C relocation-model=pie --remap-path-prefix=${crates}=/crates";
  configurePhase = lib.useCrates crates;
  # The path of a package outside the workspace would be part of the names of
  # symbols, as lib/rust.nix has it.
  buildPhase = ''
    mv core/sandbox store/nar ${folder}/
    cd ${folder}
    sed -i -e 's|"../sandbox"|"sandbox"|' -e 's|"../../store/nar"|"nar"|' Cargo.toml
    cargo build --release --frozen --target ${target} -j "$NIX_BUILD_CORES" \
      --config 'profile.release.opt-level=3' --config 'profile.release.codegen-units=1' \
      --config 'profile.release.panic="abort"' --config 'profile.release.strip=true'
  '';
  installPhase = ''
    install -D -m 0755 ${folder}/target/${target}/release/osbuild-builder "$out/bin/osbuild-builder"
  '';
  meta = {
    description = "Runs one build in the toolkit's sandbox, on a cluster's machine";
    license = "MIT OR Apache-2.0";
    homepage = null;
  };
}
