# `override` by arguments that the function is known to take.
let
  makeOverridable = f: args:
    let result = f args; in
    result // {
      override = new: makeOverridable f (args // (if builtins.isFunction new then new args else new));
      overrideAttrs = g: makeOverridable (x: let r = f x; in r // g r) args;
    };
  callWith = scope: f: more:
    let wanted = builtins.functionArgs f; in
    makeOverridable f (builtins.intersectAttrs wanted scope // more);
  scope = { version = "1.0"; src = "s"; unused = throw "never"; };
  package = { version, src, flag ? false }: { name = "p-${version}"; inherit src flag; };
  p = callWith scope package { };
  clean = x: removeAttrs x [ "override" "overrideAttrs" ];
in
map clean [
  p
  (p.override { flag = true; })
  ((p.override { version = "2.0"; }).override (old: { version = old.version + ".1"; }))
  (p.overrideAttrs (old: { extra = "${old.name}!"; }))
]
