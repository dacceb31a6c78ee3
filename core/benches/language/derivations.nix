# 2000 derivations, each of which depends on three others.
let
  make =
    i: inputs:
    derivation {
      name = "package-${toString i}";
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" "echo ${toString i} > $out" ];
      outputs = [ "out" "dev" ];
      version = "1.${toString i}";
      buildInputs = inputs;
      PATH = builtins.concatStringsSep ":" (map (p: "${p}/bin") inputs);
      enableParallel = true;
    };
  all = builtins.genList (
    i: make i (if i < 10 then [ ] else map (builtins.elemAt all) [ (i - 1) (i / 2) (i - 10) ])
  ) 2000;
in
builtins.hashString "sha256" (builtins.toJSON (map (p: [ p.drvPath p.dev ]) all))
