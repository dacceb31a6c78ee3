# Fetchers: derivations whose hash is known before, in all spellings of hashes.
let
  inherit (builtins) attrNames concatMap concatStringsSep convertHash elem elemAt filter foldl' functionArgs getContext hashString head isAttrs isList isString length listToAttrs map mapAttrs match removeAttrs replaceStrings split stringLength substring tail toJSON tryEval;
  empty = hashString "sha256" "";
  lengths = { md5 = 32; sha1 = 40; sha256 = 64; sha512 = 128; };
  zeros = algorithm: concatStringsSep "" (builtins.genList (_: "0") lengths.${algorithm});
  fake = algorithm: convertHash { hash = zeros algorithm; hashAlgo = algorithm; toHashFormat = "sri"; };
  # One of `hash`, `sha256` and so on, as the fields of a derivation.
  normalise = { hash ? null, ... }@args:
    let
      given = filter (a: args.${a} or null != null) (attrNames lengths) ++ (if hash != null then [ "hash" ] else [ ]);
      name = head given;
    in
    if given == [ ] then throw "a hash is needed, such as ${fake "sha256"}"
    else if length given > 1 then throw "only one of ${concatStringsSep ", " given} may be given"
    else if name == "hash" then { outputHash = if hash == "" then fake "sha256" else hash; outputHashAlgo = if hash == "" then "sha256" else null; }
    else { outputHash = args.${name}; outputHashAlgo = name; };
  withoutHashes = args: removeAttrs args ([ "hash" ] ++ attrNames lengths);
  mirrors = { gnu = [ "https://ftp.example/gnu/" "https://mirror.example/gnu/" ]; };
  expand = url:
    let m = match "mirror://([a-z]+)/(.*)" url; in
    if m == null then [ url ] else map (base: base + elemAt m 1) (mirrors.${head m} or (throw "unknown mirror ${head m}"));
  nameOf = url: let base = baseNameOf (head (match "([^?#]*).*" url)); in replaceStrings [ "%20" "~" ] [ "-" "-" ] base;
  fetchurl = { url ? null, urls ? [ ], name ? "", postFetch ? "", executable ? false, recursiveHash ? false, passthru ? { }, ... }@args:
    let
      all = if url != null && urls == [ ] then [ url ] else if url == null && urls != [ ] then urls else throw "fetchurl needs either url or urls";
      drv = derivation ({
        name = if name != "" then name else nameOf (head all);
        system = "builtin";
        builder = "builtin:fetchurl";
        urls = concatMap expand all;
        outputHashMode = if recursiveHash || executable then "recursive" else "flat";
        preferLocalBuild = true;
        inherit postFetch;
        ${if executable then "executable" else null} = true;
      } // normalise args);
    in
    drv // passthru // { inherit (drv) urls; url = head drv.urls; };
  fetchzip = { name ? "source", stripRoot ? true, extension ? null, ... }@args:
    fetchurl (removeAttrs args [ "stripRoot" "extension" ] // {
      inherit name;
      recursiveHash = true;
      postFetch = ''
        unpack "$downloadedFile"
        ${if stripRoot then ''
          if [ $(ls -A | wc -l) != 1 ]; then exit 1; fi
          mv * "$out"'' else ''mv . "$out"''}
      '' + (args.postFetch or "");
    });
  fetchForge = { owner, repo, rev ? null, tag ? null, domain ? "forge.example", submodules ? false, ... }@args:
    assert (rev == null) != (tag == null);
    let
      ref = if tag != null then "refs/tags/${tag}" else rev;
      base = "https://${domain}/${owner}/${repo}";
      position = let p = if args ? meta.position then null else builtins.unsafeGetAttrPos "owner" args; in if p == null then "?" else "${baseNameOf p.file}";
      passed = removeAttrs args ([ "owner" "repo" "rev" "tag" "domain" "submodules" ]);
    in
    fetchzip (passed // { name = args.name or "${repo}-${substring 0 7 (if tag != null then tag else rev)}"; url = "${base}/archive/${ref}.tar.gz"; passthru = { inherit owner repo ref; homepage = base; position = position; }; });
  makeOverridable = f: args: f args // { override = new: makeOverridable f (args // new); };
  forge = makeOverridable fetchForge;
  spellings = mapAttrs (algorithm: _:
    let hash = hashString algorithm "library"; in
    listToAttrs (map (toHashFormat: { name = toHashFormat; value = convertHash { inherit hash toHashFormat; hashAlgo = algorithm; }; }) [ "base16" "nix32" "base64" "sri" ])) lengths;
  same = algorithm: let forms = map (sha: (fetchurl { url = "https://example/f"; ${algorithm} = sha; }).outPath) (builtins.attrValues spellings.${algorithm}); in foldl' (ok: p: ok && p == head forms) true forms;
  paths = d: { inherit (d) name outPath drvPath; };
  file = fetchurl { url = "mirror://gnu/hello/hello-2.12.tar.gz?raw=1"; hash = spellings.sha256.sri; };
  source = forge { owner = "o"; repo = "r"; rev = "0123456789abcdef"; hash = spellings.sha256.sri; };
  lockfile = {
    a = { url = "https://example/a.tgz"; integrity = spellings.sha512.sri; };
    b = { url = "https://example/b.tgz"; integrity = spellings.sha1.sri; };
  };
  vendor = derivation { name = "vendor"; system = "x86_64-linux"; builder = "/bin/sh"; sources = mapAttrs (_: l: "${fetchurl { inherit (l) url; hash = l.integrity; }}") lockfile; __structuredAttrs = true; };
  fails = e: !(tryEval (builtins.seq e.outPath true)).success;
in
{
  inherit spellings;
  same = mapAttrs (a: _: same a) lengths;
  file = paths file // { inherit (file) urls url outputHashMode; };
  executable = paths (fetchurl { url = "https://example/run%20me"; sha256 = empty; executable = true; });
  renamed = (fetchurl { urls = [ "x:/a" "x:/b" ]; sha1 = zeros "sha1"; name = "renamed"; }).outPath;
  independent = (fetchurl { url = "https://one/f"; sha256 = empty; }).outPath == (fetchurl { url = "https://two/f"; hash = "sha256-${spellings.sha256.base64}"; }).outPath;
  mirrored = (fetchurl { url = "https://one/f"; sha256 = empty; }).outPath == (fetchurl { url = "https://two/f"; sha256 = convertHash { hash = empty; hashAlgo = "sha256"; toHashFormat = "nix32"; }; postFetch = "x"; }).outPath;
  source = paths source // { inherit (source) owner ref homepage position url postFetch; };
  tagged = removeAttrs (paths (source.override { rev = null; tag = "v1.0"; })) [ "drvPath" ];
  fake = paths (fetchurl { url = "x"; hash = ""; });
  vendor = [ vendor.outPath (attrNames (getContext vendor.drvPath) == [ vendor.drvPath ]) ];
  refused = map fails [
    (fetchurl { url = "x"; })
    (fetchurl { url = "x"; sha256 = empty; md5 = zeros "md5"; })
    (fetchurl { sha256 = empty; })
    (fetchurl { url = "mirror://none/x"; sha256 = empty; })
    (forge { owner = "o"; repo = "r"; rev = "1"; tag = "2"; hash = ""; })
  ];
  fields = functionArgs fetchurl;
}
