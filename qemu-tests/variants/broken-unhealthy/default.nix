# A service of the node fails at every start.
import ../follows.nix {
  number = 15;
  change =
    { lib, ... }:
    {
      services."broken.service" = {
        text = ''
          [Unit]
          Description=Fails

          [Service]
          Type=oneshot
          ExecStart=/usr/bin/systemctl start does-not-exist.service
        '';
        wantedBy = [ "multi-user.target" ];
        sandbox = lib.sandbox.unconfined "it breaks the node";
      };
    };
}
