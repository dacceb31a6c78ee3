# The entry point: everything that can be built.
{
  system ? "x86_64-linux",
  # Further modules by variant name, as paths: how another tree adds its own.
  extraVariants ? { },
}:
let
  lib = import ./lib { inherit system; };

  # A folder below pkgs/ is a package: its function is called with the other
  # packages and `lib` by name.
  pkgs = lib.discover {
    directory = ./pkgs;
    file = "package.nix";
    load = path: callPackage path { };
  };

  scope = pkgs // { inherit lib pkgs; };

  callPackage =
    path: overrides:
    let
      function = import path;
      wanted = builtins.functionArgs function;
    in
    function (builtins.intersectAttrs wanted scope // overrides);

  variants = builtins.mapAttrs (name: module: lib.evalVariant { inherit name module pkgs; }) (
    lib.variants // extraVariants
  );
in
{
  inherit lib pkgs variants;
}
