# Four algorithms, with context dropped.
map (a: builtins.hashString a "abc") [ "md5" "sha1" "sha256" "sha512" ] ++ [ (builtins.hashFile "sha256" ./data/text.txt) (builtins.hashString "sha256" "") ]
