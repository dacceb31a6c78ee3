# Dependencies that strings carry through a library's functions.
let
  drv = derivation { name = "dep"; builder = "b"; system = "s"; outputs = [ "out" "dev" ]; };
  inherit (builtins) getContext hasContext concatStringsSep replaceStrings substring toJSON unsafeDiscardStringContext mapAttrs attrValues attrNames fromJSON;
  kinds = s: mapAttrs (n: v: attrNames v ++ (v.outputs or [ ])) (getContext s);
  values = s: attrValues (kinds s);
  makeSearchPath = sub: pkgs: concatStringsSep ":" (map (p: "${p}/${sub}") pkgs);
in
[
  (values "${drv}")
  (values "${drv.dev}")
  (values "${drv}${drv.dev}")
  (values drv.drvPath)
  (values (makeSearchPath "bin" [ drv drv.dev ]))
  (values (substring 0 3 "${drv}"))
  (values (replaceStrings [ "x" ] [ "${drv}" ] "no match"))
  (values (replaceStrings [ "x" ] [ "${drv}" ] "x"))
  (values (toJSON { inherit drv; }))
  (values (builtins.toXML [ drv.outPath ]))
  (values (toString [ drv drv.drvPath ]))
  (values (baseNameOf "${drv}"))
  (values (dirOf "${drv}"))
  (hasContext (unsafeDiscardStringContext "${drv}"))
  (values (builtins.unsafeDiscardOutputDependency drv.drvPath))
  (values (builtins.addDrvOutputDependencies (builtins.unsafeDiscardOutputDependency drv.drvPath)))
  (values (builtins.appendContext "x" (getContext "${drv.dev}")))
  (map hasContext (builtins.filter builtins.isString (builtins.split "/" "${drv}")))
  (hasContext (builtins.head (builtins.match "(.*)" "${drv}")))
  (builtins.stringLength "${drv}")
  (hasContext (builtins.hashString "sha256" "${drv}"))
]
