# `<nix/…>` is a file system of the language itself. Its paths are told apart
# from the host's where they are shown and compared, not where they are text.
let
  file = <nix/fetchurl.nix>;
  host = /fetchurl.nix;
  fetch = import file;
  url = "http://localhost/folder/file";
  empty = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
in
{
  inherit file;
  type = builtins.typeOf file;
  text = toString file;
  interpolated = "${toString file}!";
  appended = file + "x";
  base = baseNameOf file;
  dir = dirOf file;
  dirOfDir = dirOf (dirOf file);
  deeper = dirOf <nix/a/b>;
  normal = <nix/a/../b/./c>;
  equal = [ (file == file) (file == host) (host == file) (file == <nix/fetchurl>) ];
  less = [ (file < host) (host < file) (<nix/b> < <nix/c>) (<nix/b> < /c) (/b < <nix/a>) ];
  closure = map (x: x.key) (
    builtins.genericClosure {
      startSet = [ { key = file; } { key = host; } { key = <nix/other>; } ];
      operator = _: [ ];
    }
  );
  exists = map builtins.pathExists [ file <nix/other> <nix/.> (dirOf file) ];
  kind = [ (builtins.readFileType file) (builtins.readFileType <nix/.>) ];
  members = builtins.readDir (dirOf file);
  xml = builtins.toXML file;
  # A search path comes first, and only what it lacks is looked up here.
  found = builtins.findFile [ { prefix = "nix"; path = ./.; } ] "nix/fetchurl.nix";
  shadowed = builtins.findFile [ { prefix = "nix"; path = ./.; } ] "nix/dir/../eval-okay-find-file-shipped.nix" == ./eval-okay-find-file-shipped.nix;
  failures = map (x: (builtins.tryEval x).success) [ (builtins.findFile [ ] "nix") (builtins.findFile [ ] "nixx/a") ];
  bare = builtins.findFile [ ] "nix/";
  arguments = builtins.functionArgs fetch;
  attributes = builtins.removeAttrs (fetch { inherit url; hash = empty; }) [ "all" "out" ];
  derivations = map (x: (fetch ({ inherit url; } // x)).drvPath) [
    { }
    { hash = empty; }
    { hash = empty; executable = true; }
    { sha256 = "0000000000000000000000000000000000000000000000000000"; }
    { sha1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"; }
    { md5 = "d41d8cd98f00b204e9800998ecf8427e"; unpack = true; name = "n"; system = "x"; }
    { sha512 = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="; sha256 = "unused"; }
    { outputHash = empty; outputHashAlgo = null; }
    { outputHash = "d41d8cd98f00b204e9800998ecf8427e"; outputHashAlgo = "md5"; }
  ];
  outPath = (fetch { inherit url; hash = empty; }).outPath;
}
