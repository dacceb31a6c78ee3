# Certificates of the authorities that browsers trust, as the one file that TLS
# libraries look for. Those that settings add go beside it.
{ lib }:
let
  source = lib.lockedSource {
    lock = "certificates";
    package = "ca-certificates";
  };
in
lib.mkDerivation {
  pname = "ca-certificates";
  version = lib.upstreamVersion source.version;
  sdk = lib.sdk.c;
  # Its own scripts would do this where it is installed.
  src = lib.unpackDebs {
    name = "ca-certificates-unpacked";
    debs = [ source.src ];
    include = [ "usr/share/ca-certificates/mozilla/*.crt" ];
  };
  sources = [ source.src ];
  buildPhase = ''
    cat usr/share/ca-certificates/mozilla/*.crt > bundle
    # A file of it without a line break at its end would spoil the next.
    [ "$(grep -c '^-----BEGIN CERTIFICATE-----$' bundle)" = "$(ls usr/share/ca-certificates/mozilla | wc -l)" ]
  '';
  installPhase = ''
    install -D -m 0644 bundle "$out/usr/share/factory/etc/ssl/certs/ca-certificates.crt"
  '';
  meta = {
    description = "Certificate authorities that Mozilla trusts";
    license = "MPL-2.0";
    homepage = "https://wiki.mozilla.org/CA";
  };
}
