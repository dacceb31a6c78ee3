# Container images in the OCI image layout, as one tar that containerd imports.
lib:
{
  ociImage =
    {
      pname,
      # Reference under which the image is imported.
      reference,
      # A tree that the image's single layer begins with; null: nothing.
      root ? null,
      # Programs of the layer: path → source.
      files,
      entrypoint,
      # Pinned packages and crates that are in it.
      sources ? [ ],
      crates ? [ ],
      meta,
    }:
    let
      platform = lib.systems.${lib.system};
      copy = path: ''
        install -D -m 0755 "${files.${path}}" "layer/${path}"
      '';
      tar = "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar";
    in
    lib.mkDerivation {
      inherit
        pname
        sources
        crates
        meta
        ;
      version = "1";
      sdk = lib.sdk.c;
      passthru = { inherit reference root; };
      env = {
        entrypointJson = builtins.toJSON entrypoint;
        inherit reference;
      };
      # OCI image layout 1.0: blobs by digest, an index that names the manifest.
      buildPhase = ''
        mkdir -p layer image/blobs/sha256
        ${lib.optionalString (root != null) "cp -a --no-preserve=ownership ${root}/. layer && chmod -R u+w layer"}
        ${lib.concatMapStringsSep "" copy (builtins.attrNames files)}
        ${tar} -cf layer.tar -C layer .
        blob() {
          local digest
          digest=$(sha256sum "$1" | cut -d' ' -f1)
          cp "$1" "image/blobs/sha256/$digest"
          printf '{"mediaType":"%s","digest":"sha256:%s","size":%s' "$2" "$digest" "$(stat -c %s "$1")"
        }
        diff=$(sha256sum layer.tar | cut -d' ' -f1)
        printf '{"architecture":"${platform.goArch}","os":"linux","config":{"Entrypoint":%s},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
          "$entrypointJson" "$diff" > config.json
        layer=$(blob layer.tar application/vnd.oci.image.layer.v1.tar)
        config=$(blob config.json application/vnd.oci.image.config.v1+json)
        printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s},"layers":[%s}]}' \
          "$config" "$layer" > manifest.json
        manifest=$(blob manifest.json application/vnd.oci.image.manifest.v1+json)
        printf '{"schemaVersion":2,"manifests":[%s,"annotations":{"io.containerd.image.name":"%s","org.opencontainers.image.ref.name":"%s"}}]}' \
          "$manifest" "$reference" "''${reference##*:}" > image/index.json
        printf '{"imageLayoutVersion":"1.0.0"}' > image/oci-layout
      '';
      installPhase = ''
        mkdir -p "$out/usr/share/osbuild/images"
        ${tar} -cf "$out/usr/share/osbuild/images/${pname}.tar" -C image .
      '';
    };
}
