# A package that must not be used stops the one that uses it, by name.
let
  inherit (builtins) addErrorContext attrNames concatStringsSep elem filter isAttrs isBool isList isString listToAttrs map mapAttrs typeOf;
  metaTypes = {
    description = isString;
    license = l: isAttrs l || (isList l && builtins.all isAttrs l);
    broken = isBool;
    platforms = l: isList l && builtins.all isString l;
    maintainers = isList;
  };
  problems = meta: map (name:
    if metaTypes ? ${name} then "key 'meta.${name}' should not be a ${typeOf meta.${name}}" else "key 'meta.${name}' is unknown; known are [${concatStringsSep ", " (map (n: "'${n}'") (attrNames metaTypes))}]")
    (filter (name: !(metaTypes ? ${name} && metaTypes.${name} meta.${name})) (attrNames meta));
  remedy = { broken = "set allowBroken"; unsupported = "set allowUnsupported"; };
  check = attrs:
    let
      meta = attrs.meta or { };
      wrong = problems meta;
    in
    if wrong != [ ] then throw "Package ${attrs.name} has an invalid meta:\n  - ${concatStringsSep "\n  - " wrong}"
    else if meta.broken or false then throw "Package ‘${attrs.name}’ is broken and must not be used.\n\n${remedy.broken}"
    else if meta ? platforms && !elem "x86_64-linux" meta.platforms then throw "Package ‘${attrs.name}’ is for other platforms: ${concatStringsSep ", " meta.platforms}"
    else true;
  mkDerivation = attrs:
    let drv = derivation (removeAttrs attrs [ "meta" ] // { system = "x86_64-linux"; builder = "/bin/sh"; }); in
    drv // { inherit (attrs) meta; outPath = assert check attrs; drv.outPath; drvPath = assert check attrs; drv.drvPath; };
  packages = {
    fine = mkDerivation { name = "fine"; meta = { description = "d"; license = [ { } ]; }; };
    elsewhere = mkDerivation { name = "elsewhere"; meta = { platforms = [ "aarch64-darwin" "i686-linux" ]; }; };
    user = mkDerivation { name = "user"; meta = { }; inputs = [ packages.fine packages.library ]; };
    library = mkDerivation { name = "library"; meta = { broken = true; }; text = throw "not looked at"; };
    odd = mkDerivation { name = "odd"; meta = { broken = 1; homepage = "x"; }; };
  };
  works = p: (builtins.tryEval p.drvPath).success;
in
assert mapAttrs (_: works) packages == { fine = true; elsewhere = false; user = false; library = false; odd = false; };
addErrorContext "while building the list of packages" "${packages.fine} ${packages.user}"
