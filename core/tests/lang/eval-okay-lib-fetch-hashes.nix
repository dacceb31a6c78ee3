# How fetchers bring hashes into one spelling.
let
  normalise = { hash ? null, sha256 ? null, sha512 ? null, sha1 ? null, md5 ? null }:
    let
      given = builtins.filter (x: x.value != null) [ { algo = ""; value = hash; } { algo = "sha256"; value = sha256; } { algo = "sha512"; value = sha512; } { algo = "sha1"; value = sha1; } { algo = "md5"; value = md5; } ];
      one = builtins.head given;
    in
    if builtins.length given != 1 then throw "exactly one hash is needed, got ${toString (builtins.length given)}"
    else builtins.convertHash ({ hash = one.value; toHashFormat = "sri"; } // (if one.algo == "" then { } else { hashAlgo = one.algo; }));
in
[
  (normalise { sha256 = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"; })
  (normalise { sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; })
  (normalise { hash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; })
  (normalise { hash = "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709"; })
  (normalise { md5 = "1B2M2Y8AsgTpgAmY7PhCfg=="; })
  (normalise { sha1 = "143xibwh31h9bvxzalr0sjvbbvpa6ffs"; })
  (normalise { sha512 = "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="; })
  (builtins.tryEval (normalise { }))
]
