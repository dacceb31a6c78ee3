# Each spelling from each other.
let
  hashes = [ "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709" "md5:d41d8cd98f00b204e9800998ecf8427e" "sha512:0ql7hfwmksx8yfy7i3m9bckfw9ylgl93m8m8cisvk4p9f40w4k00v1sqa4ip3h6ynq5yhrzi7k5sqk3f6n2g7iq3hb0nb5pl2l4mjnb" ];
  formats = [ "base16" "nix32" "base32" "base64" "sri" ];
  convert = hash: map (toHashFormat: builtins.convertHash { inherit hash toHashFormat; }) formats;
in
map convert (builtins.genList (builtins.elemAt hashes) 3)
