# One hash in all of its spellings is one path.
let
  make = outputHash: outputHashAlgo: (derivation { name = "f"; builder = "b"; system = "s"; inherit outputHash outputHashAlgo; outputHashMode = "recursive"; }).outPath;
  paths = [
    (make "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" "sha256")
    (make "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73" "sha256")
    (make "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" "sha256")
    (make "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" "")
    (make "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" "sha256")
    (make "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" "sha256")
    (make "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73" "")
    (make "sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" "")
  ];
in
[ (builtins.head paths) (builtins.all (p: p == builtins.head paths) paths) ]
