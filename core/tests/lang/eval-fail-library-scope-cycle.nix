# Packages of a scope that need each other before either is there.
let
  inherit (builtins) addErrorContext concatStringsSep functionArgs intersectAttrs map mapAttrs seq;
  makeScope = f:
    let
      scope = f scope // {
        call = fn: more:
          let args = mapAttrs (name: value: addErrorContext "while giving `${name}' to a package:" value) (intersectAttrs (functionArgs fn) scope); in
          fn (args // more);
        override = overlay: makeScope (final: let prev = f final; in prev // overlay final prev);
      };
    in
    scope;
  package = { name, inputs ? [ ] }: { inherit name; text = concatStringsSep " " ([ name ] ++ map (i: "(${i.text})") inputs); };
  base = makeScope (self: {
    libc = package { name = "libc"; };
    shell = self.call ({ libc }: package { name = "shell"; inputs = [ libc ]; }) { };
    make = self.call ({ libc, shell }: package { name = "make"; inputs = [ shell libc ]; }) { };
  });
  # Only names are needed here, which do not go round.
  lazy = base.override (final: prev: { libc = prev.libc // { builtBy = final.make.name; }; });
  cyclic = base.override (final: prev: { libc = final.call ({ make }: package { name = "libc"; inputs = [ make ]; }) { }; });
in
assert base.make.text == "make (shell (libc)) (libc)";
assert lazy.libc.builtBy == "make";
assert cyclic.shell.name == "shell";
cyclic.shell.text
