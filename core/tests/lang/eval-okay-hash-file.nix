map (a: builtins.hashFile a ./data/text.txt) [ "md5" "sha1" "sha256" "sha512" ]
