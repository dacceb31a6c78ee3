# Package sets in scopes: splicing, cross sets, variants, deprecations, searches.
let
  inherit (builtins) addErrorContext all attrNames attrValues concatMap concatStringsSep elem filter foldl' functionArgs intersectAttrs isAttrs isFunction length listToAttrs map mapAttrs removeAttrs seq tryEval warn;
  fix' = f: let x = f x // { __unfix__ = f; }; in x;
  extends = f: g: final: let prev = g final; in prev // f final prev;
  optionalAttrs = c: s: if c then s else { };
  mapFiltered = f: s: listToAttrs (concatMap (n: let r = f n s.${n}; in if r == null then [ ] else [ { name = n; value = r; } ]) (attrNames s));
  dontRecurse = s: s // { recurse = false; };
  doRecurse = s: s // { recurse = true; };
  isPackage = x: x.type or "" == "package";
  package = { name, deps ? [ ], host ? "any", meta ? { } }: {
    type = "package";
    inherit name host deps;
    meta = { broken = false; } // meta;
    __toString = self: "${self.name}@${self.host}";
    closure = let go = seen: p: if elem "${p}" seen then seen else foldl' go (seen ++ [ "${p}" ]) p.deps; in go [ ] (package { inherit name deps host meta; });
  };
  makeScope = parent: f:
    let
      scope = f scope // {
        callWith = extra: g: a: let fn = if isFunction g then g else import g; in fn (intersectAttrs (functionArgs fn) (parent // scope // extra) // a);
        call = scope.callWith { };
        override = o: makeScope parent (extends o f);
        under = makeScope (parent // scope);
      };
    in
    scope;
  base = { host ? "linux", config ? { }, overlays ? [ ] }:
    let
      stages = [
        (final: { lib = { inherit optionalAttrs; version = "1"; }; inherit config host; })
        (final: {
          libc = package { name = "libc"; inherit host; };
          zlib = final.build { name = "zlib"; };
          ssl = final.build { name = "ssl"; deps = [ final.zlib ]; meta.broken = host == "dos"; };
          curl = final.build { name = "curl"; deps = [ final.ssl final.zlib ]; };
          build = args: package (args // { inherit host; deps = args.deps or [ ] ++ [ final.libc ]; });
        })
        (final: {
          langs = doRecurse (makeScope final (self: {
            core = self.call ({ build }: build { name = "core"; }) { };
            tools = self.call ({ build, core, curl, lint ? null }: build { name = "tools"; deps = [ core curl ] ++ (if lint == null then [ ] else [ lint ]); }) { };
            curl = self.call ({ build }: build { name = "scoped-curl"; }) { };
          }));
          bootstrap = dontRecurse { seed = throw "not looked at"; };
        })
        (final: optionalAttrs (config.aliases or true) (mapAttrs (old: new: warn "`${old}' is now `${new}'" final.${new}) { openssl = "ssl"; z = "zlib"; }))
      ] ++ map (o: final: o) [ ];
      start = final: foldl' (set: stage: set // stage final) { } stages;
      all' = foldl' (f: o: extends o f) start overlays;
      self = fix' all';
    in
    self // {
      cross = mapAttrs (_: h: base { host = h; inherit config overlays; }) { arm = "arm"; dos = "dos"; };
      extend = o: base { inherit host config; overlays = overlays ++ [ o ]; };
      static = base { host = "${host}-static"; inherit config; overlays = overlays ++ [ (final: prev: { build = a: prev.build (a // { name = "${a.name}-static"; }); }) ]; };
    };
  set = base { };
  # Every package by its path; sets are entered where they say so.
  walk = path: s: concatMap (n:
    let v = s.${n}; r = tryEval (if isPackage v then "package" else if isAttrs v && v.recurse or false then "set" else "other"); in
    if !r.success then [ "${concatStringsSep "." (path ++ [ n ])} fails" ]
    else if r.value == "package" then [ "${concatStringsSep "." (path ++ [ n ])}=${v}" ]
    else if r.value == "set" then walk (path ++ [ n ]) v
    else [ ]) (filter (n: !elem n [ "cross" "static" "openssl" "z" ]) (attrNames s));
  usable = p: addErrorContext "while checking ${p}" (!p.meta.broken && all usable p.deps);
  overlaid = set.extend (final: prev: {
    zlib = prev.zlib // { name = "zlib-ng"; };
    langs = prev.langs.override (lf: lp: { lint = lf.call ({ build, core }: build { name = "lint"; deps = [ core ]; }) { }; });
    wrong = throw "wrong";
  });
in
{
  plain = walk [ ] set;
  overlaid = walk [ ] overlaid;
  arm = walk [ ] set.cross.arm;
  static = map toString (set.static.curl.deps ++ [ set.static.cross.arm.static.zlib ]);
  closures = [ set.curl.closure overlaid.langs.tools.closure ];
  usable = mapAttrs (_: s: mapFiltered (n: p: if isAttrs p && isPackage p then usable p else null) (removeAttrs s [ "openssl" "z" ])) { inherit (set.cross) arm dos; };
  aliases = [ "${set.openssl}" ((base { config.aliases = false; }) ? z) (set ? z) ];
  scoped = [ (set.langs.under (self: { mine = self.call ({ core, ssl }: [ "${core}" "${ssl}" ]) { }; })).mine (set.langs.callWith { ssl = "given"; } ({ ssl, core ? null, ... }: ssl) { }) ];
  unfix = attrNames (set.__unfix__ { libc = null; zlib = null; host = "x"; });
  deep = (overlaid.extend (final: prev: { zlib = prev.zlib // { name = "${prev.zlib.name}-2"; }; })).curl.closure;
}
