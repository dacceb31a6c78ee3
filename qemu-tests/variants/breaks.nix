# A release that follows a repository and breaks itself at every start, by a
# word to the service manager.
{
  number,
  description,
  # Of systemctl's.
  words,
  # How long its health is waited for, if not as long as everybody's.
  deadlineSeconds ? null,
}:
import ./follows.nix {
  inherit number;
  change =
    { lib, ... }:
    {
      health = if deadlineSeconds == null then { } else { inherit deadlineSeconds; };
      services."broken.service" = {
        text = ''
          [Unit]
          Description=${description}

          [Service]
          Type=oneshot
          ExecStart=/usr/bin/systemctl ${words}
        '';
        wantedBy = [ "multi-user.target" ];
        sandbox = lib.sandbox.unconfined "it breaks the node";
      };
    };
}
