# The three ways to make a store object: run a program in the sandbox, run a
# built-in builder, fetch a file whose hash is known.
lib:
let
  inherit (builtins) isString removeAttrs;

  # Named by their contents: a rebuild that gives the same bytes ends there,
  # and nothing above it is built again.
  contentAddressed = {
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  };

  builtinDerivation =
    {
      builder,
      name,
      outputs ? [ "out" ],
      ...
    }@arguments:
    derivation (
      contentAddressed
      // removeAttrs arguments [ "builder" ]
      // {
        inherit name outputs;
        system = "builtin";
        builder = "builtin:${builder}";
        builtinVersion = lib.builtinVersions.${builder};
        __structuredAttrs = true;
      }
    );

  # 1980-01-01T00:00:00Z, where the clocks of FAT and zip begin.
  sourceDateEpoch = "315532800";

  phaseNames = [
    "unpackPhase"
    "patchPhase"
    "configurePhase"
    "buildPhase"
    "checkPhase"
    "installPhase"
  ];

  mkDerivation =
    {
      pname,
      version,
      # The root that the build sees: compilers and tools, unpacked from pinned
      # packages.
      sdk,
      # An archive, a directory, or null where the phases say it all.
      src ? null,
      patches ? [ ],
      # Environment of the build; values as in `derivation`.
      env ? { },
      # What must be in an image beside this package.
      runtimeInputs ? [ ],
      # Why the output may hold store paths; null: it may not.
      keepsReferences ? null,
      # How the files enter an image.
      image ? { },
      # Pinned files beside `src`, and crates, that it is made from.
      sources ? [ ],
      crates ? [ ],
      meta,
      passthru ? { },
      ...
    }@arguments:
    let
      phases = builtins.intersectAttrs (builtins.listToAttrs (
        map (name: {
          inherit name;
          value = null;
        }) phaseNames
      )) arguments;
      known = phaseNames ++ [
        "pname"
        "version"
        "sdk"
        "src"
        "patches"
        "env"
        "runtimeInputs"
        "keepsReferences"
        "image"
        "sources"
        "crates"
        "meta"
        "passthru"
        "outputs"
      ];
      unknown = builtins.attrNames (removeAttrs arguments known);
      drv = derivation (
        contentAddressed
        // env
        // phases
        // {
          name = "${pname}-${version}";
          inherit (lib) system;
          inherit pname version patches;
          outputs = arguments.outputs or [ "out" ];
          builder = "/bin/bash";
          args = [ setup ];
          sandboxRoot = sdk;
          SOURCE_DATE_EPOCH = sourceDateEpoch;
        }
        // (if src == null then { } else { inherit src; })
        // (
          # Files of an image are found below /usr, never by a store path; one
          # that slipped in would keep its object alive and change with it.
          if keepsReferences == null then { allowedReferences = [ ]; } else { inherit keepsReferences; }
        )
      );
    in
    assert lib.assertMsg (unknown == [ ])
      "package '${pname}': mkDerivation takes no argument named '${builtins.concatStringsSep "', '" unknown}'";
    drv // passthru // package {
      inherit
        pname
        version
        runtimeInputs
        image
        crates
        meta
        ;
      sources = lib.optional ((src.pin or null) != null) src ++ sources;
    }
    // {
      # The same package, said a little differently: `change` gets the
      # arguments above and returns those that are to replace them.
      overrideAttrs = change: mkDerivation (arguments // change arguments);
    };

  # What every package says of itself, however it is made.
  package =
    {
      pname,
      version,
      runtimeInputs,
      image,
      sources ? [ ],
      crates ? [ ],
      meta,
    }:
    assert lib.assertMsg (
      meta ? description && meta ? license && meta ? homepage
    ) "package '${pname}': meta needs description, license (SPDX) and homepage";
    {
      inherit
        pname
        version
        runtimeInputs
        crates
        meta
        ;
      sources = map lib.describePinned sources;
      image = {
        # Files left out of images, as globs from the package's root.
        exclude = [ ];
        # Is this a program that runs other people's text?
        interpreter = false;
      }
      // image;
    };

  setup = builtins.path {
    name = "setup.sh";
    path = ./setup.sh;
  };

  # A file from the network by its hash. `urls` may say `mirror://NAME/path`;
  # `pin` names the lock entry, for the message when a mirror drops the file.
  fetchurl =
    {
      name,
      urls,
      hash,
      pin ? null,
    }:
    assert lib.assertMsg (isString hash) "fetchurl '${name}': hash must be a string";
    derivation {
      inherit name urls pin;
      system = "builtin";
      builder = "builtin:fetchurl";
      builtinVersion = lib.builtinVersions.fetchurl;
      __structuredAttrs = true;
      outputHash = hash;
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
    };
in
{
  inherit
    builtinDerivation
    fetchurl
    mkDerivation
    package
    ;
}
