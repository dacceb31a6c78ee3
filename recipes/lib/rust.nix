# Rust programs of this tree. Crates are fetched one by one by the checksum in
# Cargo.lock; the compiler is the SDK's.
lib:
let
  inherit (builtins)
    concatLists
    filter
    fromTOML
    map
    readFile
    ;

  projectRoot = ../..;

  # One fixed-output derivation a crate that comes from the registry.
  cratesOf =
    lockFile:
    map (entry: {
      inherit (entry) name version checksum;
      file = lib.fetchurl {
        name = "${entry.name}-${builtins.replaceStrings [ "+" ] [ "-" ] entry.version}.crate";
        urls = [ "mirror://crates/${entry.name}/${entry.version}" ];
        hash = "sha256:${entry.checksum}";
      };
    }) (filter (entry: entry ? checksum) (fromTOML (readFile lockFile)).package);

  # The crates that a package of a lock file is linked with, directly or not, by
  # what the lock says: those of builds and of tests are among them.
  cratesBelow =
    lockFile: root:
    let
      byName = builtins.groupBy (entry: entry.name) (fromTOML (readFile lockFile)).package;
      # "name", or "name version" where there are several.
      find =
        text:
        let
          words = filter builtins.isString (builtins.split " " text);
          candidates = byName.${builtins.head words};
        in
        if builtins.length words == 1 then
          builtins.head candidates
        else
          lib.findSingle "crate '${text}' in ${toString lockFile}" (
            entry: entry.version == builtins.elemAt words 1
          ) candidates;
      node = entry: {
        key = "${entry.name} ${entry.version}";
        inherit entry;
      };
      nodes = builtins.genericClosure {
        startSet = [ (node (find root)) ];
        operator = node': map (text: node (find text)) (node'.entry.dependencies or [ ]);
      };
    in
    map (node': { inherit (node'.entry) name version checksum; }) (
      filter (node': node'.entry ? checksum) nodes
    );

  # A directory source for cargo: every crate unpacked, with the checksum of
  # its archive. `lockFiles` are merged; a crate named twice enters once.
  cargoSources =
    { name, lockFiles }:
    let
      crates = lib.unique (concatLists (map cratesOf lockFiles));
    in
    lib.mkDerivation {
      pname = "${name}-crates";
      version = "1";
      sdk = lib.sdk.rust;
      env = {
        crateFiles = map (crate: crate.file) crates;
        crateNames = map (crate: "${crate.name}-${crate.version}") crates;
        crateChecksums = map (crate: crate.checksum) crates;
      };
      installPhase = ''
        mkdir -p "$out"
        read -ra names <<< "$crateNames"
        read -ra checksums <<< "$crateChecksums"
        index=0
        for file in $crateFiles; do
          tar -xzf "$file" --no-same-owner -C "$out"
          printf '{"files":{},"package":"%s"}' "''${checksums[index]}" \
            > "$out/''${names[index]}/.cargo-checksum.json"
          index=$((index + 1))
        done
        # Some scripts of crates say what they looked at in the order in which a
        # directory is read. Nothing changes here, so cargo need not be told.
        find "$out" -maxdepth 2 -name build.rs \
          -exec sed -i 's/"cargo::\{0,1\}rerun-if-changed=/"rerun-if-changed=/' {} +
      '';
      meta = {
        description = "Pinned crates, unpacked";
        license = "MIT OR Apache-2.0";
        homepage = "https://doc.rust-lang.org/cargo/reference/source-replacement.html";
      };
    };

  # Makes cargo take crates from what `cargoSources` made, and nowhere else. What
  # is compiled names its files as if it lay in /build. That is said by a wrapper:
  # cargo would take other flags for another build of every crate.
  useCrates = crates: ''
    export CARGO_HOME=$NIX_BUILD_TOP/cargo RUSTC_WRAPPER=$NIX_BUILD_TOP/rustc
    mkdir -p "$CARGO_HOME"
    printf '#!/bin/sh\nexec "$@" "--remap-path-prefix=$NIX_BUILD_TOP=/build"\n' > "$RUSTC_WRAPPER"
    chmod 755 "$RUSTC_WRAPPER"
    cat > "$CARGO_HOME/config.toml" <<CONFIG
    [source.crates-io]
    replace-with = "pinned"
    [source.pinned]
    directory = "${crates}"
    CONFIG
  '';

  # A workspace of this tree with a lock of its own, and how its programs are
  # built: a change of one lock changes nothing that another one builds.
  rustWorkspace =
    {
      # Whose crates these are: names the derivations that only it has.
      name,
      # Folder, from the tree's root. A workspace with members, or one package.
      folder,
      # Leaf crates that it shares with the toolkit.
      sharedCrates ? [ ],
      # What its programs are not built with.
      cargoFlags ? "",
      # What its dependencies are, for people.
      description,
    }:
    let
      manifest = fromTOML (readFile (projectRoot + "/${folder}/Cargo.toml"));
      members = manifest.workspace.members or [ ];
      package = manifest.workspace.package or manifest.package;
      manifests = [
        "${folder}/Cargo.toml"
        "${folder}/Cargo.lock"
      ]
      ++ map (member: "${folder}/${member}/Cargo.toml") members
      ++ map (shared: "${shared}/Cargo.toml") sharedCrates;

      sources = cargoSources {
        inherit name;
        lockFiles = [ (projectRoot + "/${folder}/Cargo.lock") ];
      };

      # Where it has packages, as the shell finds them.
      packageManifests =
        if members == [ ] then
          "${folder}/Cargo.toml"
        else
          "${folder}/*/Cargo.toml ${folder}/core/*/Cargo.toml";

      # The path of a package outside the workspace would be part of the names of
      # symbols, and so where the build is (cargo's issue 13586).
      takeShared = ''
        mv core ${folder}/core
        sed -i -e 's|"../../core/|"core/|' -e 's|^\[workspace\]$|&\nexclude = ["core"]|' ${folder}/Cargo.toml
      '';

      # Cargo wants a target in every member, so those that a build does not see
      # get empty ones.
      configureCargo = crates: ''
        ${useCrates crates}
        cd "$NIX_BUILD_TOP/source"
        ${lib.optionalString (sharedCrates != [ ]) takeShared}
        for manifest in ${packageManifests}; do
          folder=''${manifest%/Cargo.toml}
          [ -d "$folder/src" ] && continue
          mkdir -p "$folder/src"
          : > "$folder/src/lib.rs"
          echo 'fn main() {}' > "$folder/src/main.rs"
        done
      '';

      # `-static-pie` output: nothing on the node is linked against what may not
      # be there, and address space layout randomisation still works.
      # Panic messages name source files; those must not name the store.
      rustFlags = "-C target-feature=+crt-static -C relocation-model=pie --remap-path-prefix=${sources}=/crates";
      # Phases begin in the source's root. The workspace is always built as a whole
      # and parts are chosen by target: cargo unites the features of the packages
      # that it is asked for, and dependencies with other features are compiled anew.
      cargoBuild = "cd ${folder} && cargo build --release --frozen --target x86_64-unknown-linux-gnu -j \"$NIX_BUILD_CORES\" --workspace${cargoFlags}";

      # The crates that it depends on, compiled once. The target directory is
      # kept as a tar, since cargo's freshness needs the times that the store
      # resets.
      compiledDependencies = lib.mkDerivation {
        pname = "${name}-dependencies";
        version = "1";
        sdk = lib.sdk.rust;
        src = lib.source {
          name = "${name}-manifests";
          root = projectRoot;
          include = manifests;
        };
        keepsReferences = "cargo knows by the paths of the crates' sources that they are unchanged";
        env.RUSTFLAGS = rustFlags;
        configurePhase = configureCargo sources;
        # Empty libraries have the same dependencies, and nothing is linked.
        buildPhase = "${cargoBuild} --lib";
        # Without cargo's memory of what the compiler answered: it is written in
        # an order that differs from run to run, and asking again takes no time.
        # Lists of what was read are for other tools. Of what scripts of crates
        # said, cargo reads these lines again, and takes the place where they ran
        # for the one where it is now.
        installPhase = ''
          mkdir -p "$out"
          cd ${folder}
          find target -name '*.d' -delete
          find target -path '*/build/*' -name stderr -delete
          find target -path '*/build/*' -name output -exec sed -i '/^cargo:/!d' {} +
          find target -path '*/build/*' \( -name output -o -name root-output \) \
            -exec sed -i "s|$NIX_BUILD_TOP/|/build/|g" {} +
          tar --sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
            --exclude=target/.rustc_info.json -cf "$out/target.tar" target
        '';
        meta = licence // {
          inherit description;
        };
      };

      buildRust =
        {
          # Folder of the crate in the workspace; null: the workspace's package.
          crate ? null,
          # Program names, and where each goes below $out.
          programs,
          # Other members that the crate depends on.
          uses ? [ ],
          # Of the crates that are shared with the toolkit, those that it, or what it
          # uses, depends on.
          leaves ? [
            "core/boot"
            "core/format"
          ],
          description,
          runtimeInputs ? [ ],
          image ? { },
        }:
        let
          own =
            if crate == null then
              manifest
            else
              fromTOML (readFile (projectRoot + "/${folder}/${crate}/Cargo.toml"));
          sourcesOfCrates =
            if crate == null then
              [ "${folder}/src" ]
            else
              map (member: "${folder}/${member}/src") (uses ++ [ crate ]);
        in
        lib.mkDerivation {
          pname = own.package.name;
          # Members inherit the workspace's.
          inherit (package) version;
          inherit runtimeInputs image;
          crates = cratesBelow (projectRoot + "/${folder}/Cargo.lock") own.package.name;
          sdk = lib.sdk.rust;
          src = lib.source {
            name = "${own.package.name}-source";
            root = projectRoot;
            include = manifests ++ sourcesOfCrates ++ map (leaf: "${leaf}/src") leaves;
          };
          env.RUSTFLAGS = rustFlags;
          configurePhase = ''
            tar -xf ${compiledDependencies}/target.tar -C "$NIX_BUILD_TOP/source/${folder}"
            ${configureCargo sources}
          '';
          buildPhase = "${cargoBuild} ${
            lib.concatMapStringsSep " " (program: "--bin ${program}") (builtins.attrNames programs)
          }";
          installPhase = lib.concatMapStringsSep "\n" (
            program:
            "install -D -m 0755 ${folder}/target/x86_64-unknown-linux-gnu/release/${program} \"$out/${programs.${program}}\""
          ) (builtins.attrNames programs);
          meta = licence // {
            inherit description;
          };
        };
    in
    {
      inherit buildRust configureCargo;
    };

  licence = {
    license = "MIT OR Apache-2.0";
    homepage = null;
  };

  # The node's own.
  agents = rustWorkspace {
    name = "agents";
    folder = "recipes/agents";
    sharedCrates = [
      "core/boot"
      "core/delta"
      "core/format"
      "core/install"
      "core/transfer"
      "core/tuf"
      "core/update"
    ];
    # It is built for UEFI.
    cargoFlags = " --exclude osbuild-loader";
    description = "Dependencies of the node's agents, compiled";
  };
in
{
  inherit (agents) buildRust configureCargo;
  inherit
    cargoSources
    cratesBelow
    rustWorkspace
    useCrates
    ;
}
