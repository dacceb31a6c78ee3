# Parsing of platform names.
let
  inherit (builtins) split filter isString elemAt length head tail concatStringsSep;
  parts = s: filter isString (split "-" s);
  cpus = { x86_64 = { bits = 64; endian = "little"; }; aarch64 = { bits = 64; endian = "little"; }; i686 = { bits = 32; endian = "little"; }; powerpc64 = { bits = 64; endian = "big"; }; };
  parse = s:
    let l = parts s; n = length l; in
    {
      "2" = { cpu = elemAt l 0; vendor = "unknown"; kernel = elemAt l 1; abi = "unknown"; };
      "3" = { cpu = elemAt l 0; vendor = elemAt l 1; kernel = elemAt l 2; abi = "unknown"; };
      "4" = { cpu = elemAt l 0; vendor = elemAt l 1; kernel = elemAt l 2; abi = elemAt l 3; };
    }.${toString n} or (throw "system string '${s}' has invalid number of hyphen-separated components");
  elaborate = s: let p = parse s; in p // { bits = (cpus.${p.cpu} or (throw "unknown processor ${p.cpu}")).bits; config = concatStringsSep "-" [ p.cpu p.vendor p.kernel p.abi ]; };
in
[
  (elaborate "x86_64-linux")
  (elaborate "aarch64-unknown-linux-gnu")
  (builtins.tryEval (elaborate "x").config)
  (builtins.tryEval (elaborate "sparc-linux").bits)
  (parse "a-b-c")
]
