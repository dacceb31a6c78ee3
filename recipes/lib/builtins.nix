# The version of each built-in builder that these recipes are written for. It
# rises whenever any input could give other bytes; a test compares this table
# with the program's.
{
  disk = "1";
  fetchurl = "1";
  image-manifest = "1";
  join = "1";
  link-root = "1";
  sbom = "2";
  slot = "2";
  squashfs-segment = "1";
  unpack-debs = "1";
  write-tree = "1";
}
