# Other people's programs that judge what we write, for the tests: never part of
# an image.
{ lib }:
lib.toolRoot {
  pname = "judges";
  versionOf = "nix-bin";
  meta = {
    description = "Programs that judge formats and evaluation, for tests";
    license = "GPL-3.0-or-later";
    homepage = "https://www.debian.org";
  };
}
