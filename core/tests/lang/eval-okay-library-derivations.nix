# Derivations as package sets make them: a final argument, overrides, outputs,
# passthru, checked meta, dependencies that are strings with context.
let
  inherit (builtins) attrNames concatMap concatStringsSep elem filter foldl' functionArgs getContext hasAttr head intersectAttrs isAttrs isFunction isList isString listToAttrs map mapAttrs match tryEval unsafeDiscardStringContext;
  optionalAttrs = condition: set: if condition then set else { };
  isDerivation = x: x.type or null == "derivation";
  licenses = mapAttrs (short: l: { inherit short; free = true; } // l) {
    mit = { spdx = "MIT"; };
    gpl3 = { spdx = "GPL-3.0-only"; };
    secret = { free = false; };
  };
  checkMeta = allowed: attrs:
    let
      licenses' = let l = attrs.meta.license or [ ]; in if isList l then l else [ l ];
      reasons =
        (if filter (l: !l.free) licenses' != [ ] && !elem attrs.pname allowed then [ "unfree" ] else [ ])
        ++ (if attrs.meta.broken or false then [ "broken" ] else [ ])
        ++ map (v: "insecure (${v})") (attrs.meta.knownVulnerabilities or [ ]);
    in
    if reasons == [ ] then true else throw "Package ‘${attrs.pname}-${attrs.version}’ is ${concatStringsSep ", " reasons}.";
  extendDerivation = condition: passthru: drv:
    let
      outputs = drv.outputs or [ "out" ];
      common = drv // listToAttrs outputsList // { all = map (o: o.value) outputsList; } // passthru;
      outputsList = map (name: {
        inherit name;
        value = common // { inherit (drv.${name}) type outputName; outputSpecified = true; outPath = assert condition; drv.${name}.outPath; drvPath = assert condition; drv.${name}.drvPath; };
      }) outputs;
    in
    common // { drvPath = assert condition; drv.drvPath; outPath = assert condition; drv.outPath; };
  mkWith = { system, allowed ? [ ] }:
    let
      make = rattrs:
        let
          args = rattrs (args // { inherit finalPackage overrideAttrs; });
          overrideAttrs = f0:
            let
              f = final: prev: if !isFunction f0 then f0 else let x = f0 final; in if isFunction x then x prev else f0 prev;
            in
            make (final: let prev = rattrs final; in prev // f final prev);
          finalPackage = simple overrideAttrs args;
        in
        finalPackage;
      simple = overrideAttrs: { pname, version, outputs ? [ "out" ], buildInputs ? [ ], env ? { }, passthru ? { }, meta ? { }, doCheck ? false, checkInputs ? [ ], ... }@attrs:
        let
          valid = checkMeta allowed attrs;
          inputs = buildInputs ++ (if doCheck then checkInputs else [ ]);
          dev = drv: drv.dev or (drv.out or drv);
          drv = derivation (removeAttrs attrs [ "passthru" "meta" "env" "buildInputs" "checkInputs" ] // env // {
            name = "${pname}-${version}";
            inherit system outputs;
            builder = attrs.builder or "/bin/sh";
            args = attrs.args or [ "-e" (builtins.toFile "builder.sh" "echo ${pname}\n") ];
            buildInputs = map dev (filter (x: x != null) inputs);
          });
        in
        extendDerivation valid ({ inherit passthru overrideAttrs; inputs = map (x: x.pname or "?") inputs; meta = { name = drv.name; available = (tryEval valid).success; outputsToInstall = [ (head outputs) ]; } // meta; } // passthru) drv;
    in
    fnOrAttrs: if isFunction fnOrAttrs then make fnOrAttrs else make (_: fnOrAttrs);
  makeOverridable = f: args:
    let
      result = f args;
      again = new: makeOverridable f (args // (if isFunction new then new args else new));
      keep = g: makeOverridable (a: g (f a)) args;
    in
    if isAttrs result then result // { override = again; overrideDerivation = g: keep (r: r // g r); } // optionalAttrs (result ? overrideAttrs) { overrideAttrs = g: keep (r: r.overrideAttrs g); }
    else result;
  callWith = scope: f: more:
    let
      wanted = functionArgs f;
      missing = filter (n: !wanted.${n} && !(scope ? ${n}) && !(more ? ${n})) (attrNames wanted);
    in
    if missing == [ ] then makeOverridable f (intersectAttrs wanted scope // more)
    else throw "no ${head missing} in scope";
  mkDerivation = mkWith { system = "x86_64-linux"; allowed = [ "tool" ]; };
  packages = self:
    let callPackage = callWith self; in
    {
      inherit mkDerivation;
      zlib = callPackage ({ mkDerivation, static ? false }: mkDerivation (final: {
        pname = "zlib";
        version = "1.3";
        outputs = [ "out" "dev" ];
        inherit static;
        url = "mirror://zlib-${final.version}.tar.gz";
        passthru.tests.version = final.finalPackage.name;
        meta = { license = licenses.mit; position = baseNameOf (builtins.unsafeGetAttrPos "pname" final).file; };
      })) { };
      curl = callPackage ({ mkDerivation, zlib, tls ? null, doCheck ? true }: mkDerivation {
        pname = "curl";
        version = "8.1";
        inherit doCheck;
        buildInputs = [ zlib tls ];
        checkInputs = [ self.tool ];
        configureFlags = [ "--with-zlib=${zlib.dev}" ] ++ (if tls == null then [ "--without-tls" ] else [ ]);
        env.NIX_FLAGS = toString [ "-I" "${zlib.dev}/include" ];
        meta.license = [ licenses.mit licenses.gpl3 ];
      }) { };
      tool = callPackage ({ mkDerivation }: mkDerivation { pname = "tool"; version = "0"; meta.license = licenses.secret; }) { };
      other = self.tool.overrideAttrs { pname = "other"; };
      old = self.zlib.overrideAttrs (prev: { meta = prev.meta // { knownVulnerabilities = [ "CVE-1" ]; broken = true; }; });
      lost = callPackage ({ nowhere }: nowhere) { };
    };
  fix = f: let x = f x; in x;
  pkgs = fix packages;
  changed = pkgs.zlib.overrideAttrs (final: prev: { version = "2.0"; url = prev.url + "?v=${final.version}"; });
  overlaid = fix (self: let prev = packages self; in prev // { zlib = prev.zlib.override { static = true; }; });
  summary = p: { inherit (p) name outPath drvPath meta inputs; all = map (o: "${o.outputName}=${o}") p.all; };
  contexts = s: listToAttrs (map (n: { name = baseNameOf n; value = (getContext s).${n}; }) (attrNames (getContext s)));
in
{
  zlib = summary pkgs.zlib;
  curl = summary pkgs.curl;
  static = summary overlaid.curl;
  noCheck = (pkgs.curl.override { doCheck = false; }).drvPath;
  changed = { inherit (changed) name url outPath; inherit (changed.tests) version; };
  twice = ((changed.overrideAttrs { version = "3"; }).overrideAttrs (prev: { url = "${prev.url}#"; })).url;
  both = (((pkgs.zlib.override (old: { static = !(old.static or false); })).overrideAttrs { version = "x"; }).override { static = null; }).drvPath;
  context = contexts "${pkgs.zlib.dev}/include:${pkgs.curl}";
  flags = map unsafeDiscardStringContext pkgs.curl.configureFlags;
  refused = mapAttrs (_: p: tryEval p.outPath) { inherit (pkgs) tool other old lost; };
  available = mapAttrs (_: p: p.meta.available) { inherit (pkgs) zlib other old; };
  same = pkgs.zlib == pkgs.zlib.out && pkgs.zlib.dev != pkgs.zlib.out;
  derivations = filter (n: isDerivation pkgs.${n}) [ "zlib" "tool" "mkDerivation" ];
}
