# How files of this tree enter a build: by a positive list, under a fixed name,
# so that editor files, `target/` and the checkout's own name never count.
lib:
let
  inherit (builtins) filter path stringLength substring;
in
{
  # `include`: paths below `root`, files or whole folders.
  source =
    {
      name,
      root,
      include,
    }:
    let
      rootText = toString root;
      wanted =
        file:
        let
          relative = substring (stringLength rootText + 1) (-1) file;
          isInside = chosen: relative == chosen || lib.hasPrefix "${chosen}/" relative;
          isAbove = chosen: lib.hasPrefix "${relative}/" chosen;
        in
        builtins.any (chosen: isInside chosen || isAbove chosen) include;
      missing = filter (chosen: !builtins.pathExists (root + "/${chosen}")) include;
    in
    assert lib.assertMsg (missing == [ ])
      "source '${name}': no such file below ${rootText}: ${toString missing}";
    path {
      inherit name;
      path = root;
      filter = file: type: wanted file && baseNameOf file != "target" && type != "unknown";
    };
}
