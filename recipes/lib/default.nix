# What recipes are written with. Everything here is plain Nix: real Nix
# evaluates it to the same derivations.
{ system }:
let
  call = path: import path lib;
  lib = {
    inherit system;
    systems = import ./systems.nix;
    builtinVersions = import ./builtins.nix;

    inherit (call ./lists.nix)
      assertMsg
      closeOver
      concatMapStringsSep
      discover
      filterAttrs
      findSingle
      hasPrefix
      hasSuffix
      optional
      optionalString
      optionals
      range
      unique
      ;
    inherit (call ./derivations.nix) builtinDerivation mkDerivation fetchurl;
    inherit (call ./source.nix) source;
    inherit (call ./locks.nix)
      debs
      describePinned
      lock
      lockedSource
      lockTime
      releaseVersion
      upstreamSource
      ;
    inherit (call ./trees.nix)
      debPackage
      join
      toolRoot
      unpackDebs
      upstreamVersion
      writeTree
      ;
    inherit (call ./sdk.nix) sdk;
    inherit (call ./go.nix) buildGo;
    inherit (call ./rust.nix)
      buildRust
      cargoSources
      configureCargo
      cratesBelow
      rustWorkspace
      useCrates
      ;
    inherit (call ./kernel-config.nix) kernelConfig;
    inherit (call ./oci.nix) ociImage;
    inherit (call ./ssh-image.nix) sshImage;
    types = call ./types.nix;
    composedTypes = call ./composed-types.nix;
    inherit (call ./nearest.nix) nearest;
    inherit (call ./definitions.nix)
      bare
      mkAfter
      mkBefore
      mkDefault
      mkForce
      mkIf
      mkMerge
      mkOptionDefault
      mkOrder
      mkOverride
      prevailing
      pushDown
      ;
    inherit (call ./modules.nix)
      attributeSite
      checkConfig
      evalModules
      evaluate
      isOption
      mergeOptions
      mkEnableOption
      mkOption
      showPath
      ;
    inherit (call ./documentation.nix) documentOptions;
    inherit (call ./settings.nix) settingTypes settingsPackage;
    inherit (call ./sandbox.nix) sandbox;
    inherit (call ./image.nix) composeImage;
    inherit (call ./variants.nix) evalVariant;
    # The modules of this tree's variants by name, for variants that begin with
    # one of them.
    variants = lib.discover {
      directory = ../../variants;
      file = "variant.nix";
      # Loaded by the module system, so that errors can name the file.
      load = path: path;
    };
  };
in
if builtins.hasAttr system lib.systems then
  lib
else
  throw "system '${system}' is not supported; known systems: ${toString (builtins.attrNames lib.systems)}"
