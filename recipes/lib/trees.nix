# Trees made without running anything: unpacked packages, generated files.
lib:
let
  inherit (import ./derivations.nix lib) builtinDerivation package;

  unpackDebs =
    {
      name,
      debs,
      # Globs from the root; null keeps everything.
      include ? null,
      exclude ? [ ],
      # Links that maintainer scripts would have made.
      links ? { },
      files ? { },
    }:
    builtinDerivation {
      builder = "unpack-debs";
      inherit
        name
        debs
        include
        exclude
        links
        files
        ;
    };

  # Version of the software, without the archive's epoch and revision.
  upstreamVersion =
    version:
    let
      withoutEpoch = builtins.match "([0-9]+:)?(.*)" version;
      body = builtins.elemAt withoutEpoch 1;
      parts = builtins.match "([^-]*)-.*" body;
      clean = if parts == null then body else builtins.head parts;
    in
    builtins.replaceStrings [ "~" ":" ] [ "-" "-" ] clean;

  # A package for images, from pinned binary packages: only the files that run.
  debPackage =
    {
      pname,
      lock ? "node",
      debs ? [ pname ],
      include,
      exclude ? [ ],
      links ? { },
      files ? { },
      runtimeInputs ? [ ],
      image ? { },
      meta,
    }:
    let
      sources = map (name: lib.lockedSource { inherit lock; package = name; }) debs;
      version = upstreamVersion (builtins.head sources).version;
    in
    unpackDebs {
      name = "${pname}-${version}";
      debs = map (source: source.src) sources;
      inherit
        include
        exclude
        links
        files
        ;
    }
    // package {
      inherit
        pname
        version
        runtimeInputs
        image
        meta
        ;
      sources = map (source: source.src) sources;
    };

  # Programs that run on the building machine: a whole lock, unpacked to a root
  # of its own, never part of an image. The lock is called as the package.
  toolRoot =
    {
      pname,
      # The package whose version stands for the whole.
      versionOf,
      meta,
    }:
    unpackDebs {
      name = "${pname}-root";
      debs = lib.debs pname;
      exclude = [
        "usr/share/doc/**"
        "usr/share/man/**"
        "usr/share/locale/**"
      ];
    }
    // {
      inherit pname meta;
      inherit
        (lib.lockedSource {
          lock = pname;
          package = versionOf;
        })
        version
        ;
    };

  # A package of generated files.
  writeTree =
    {
      pname,
      version ? "1",
      files ? { },
      links ? { },
      directories ? [ ],
      copies ? { },
      runtimeInputs ? [ ],
      image ? { },
      meta,
    }:
    builtinDerivation {
      builder = "write-tree";
      name = "${pname}-${version}";
      inherit
        files
        links
        directories
        copies
        ;
    }
    // package {
      inherit
        pname
        version
        runtimeInputs
        image
        meta
        ;
    };

  join =
    { name, entries }:
    builtinDerivation {
      builder = "join";
      inherit name entries;
    };
in
{
  inherit
    debPackage
    join
    toolRoot
    unpackDebs
    upstreamVersion
    writeTree
    ;
}
