# The service manager freezes, as it does when it crashes: nobody feeds the
# watchdog.
import ../follows.nix {
  number = 13;
  change =
    { lib, ... }:
    {
      services."broken.service" = {
        text = ''
          [Unit]
          Description=Crashes the service manager

          [Service]
          Type=oneshot
          ExecStart=/usr/bin/systemctl kill --signal=SEGV init.scope
        '';
        wantedBy = [ "multi-user.target" ];
        sandbox = lib.sandbox.unconfined "it breaks the node";
      };
    };
}
