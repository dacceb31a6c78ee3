# The judge of health is stopped, and says nothing any more.
import ../follows.nix {
  number = 14;
  change =
    { lib, ... }:
    {
      services."broken.service" = {
        text = ''
          [Unit]
          Description=Stops the judge of health

          [Service]
          Type=oneshot
          ExecStart=/usr/bin/systemctl kill --signal=STOP --kill-whom=main osbuild-health.service
        '';
        wantedBy = [ "multi-user.target" ];
        sandbox = lib.sandbox.unconfined "it breaks the node";
      };
    };
}
