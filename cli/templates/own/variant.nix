# @NAME@: the toolkit's @BASE@ as we want it. `osbuild docs options` says what can
# be set, `osbuild eval @NAME@.config` what is.
{ lib, ... }:
{
  imports = [ lib.variants.@BASE@ ];

  config = {
    # Both rise with every release: nodes never go to a smaller index by themselves.
    release.version = "0.1.0";
    release.rollbackIndex = 1;

    # Where nodes find releases; `osbuild repo init fleet` makes the root.
    # update = { repository = "https://updates.example/"; root = ../../root.json; };
  };
}
