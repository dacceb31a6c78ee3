#!/bin/sh
# Stands in for zstd where the kernel's build packs the kernel, at level 22 with
# a window of 128 MiB: a node that is given the difference of two kernels must
# pack the new one again, byte for byte, and has not the memory for that.
#
# Packs as `osbuild_format::kernel::Packer` does, at its PACK_LEVEL: the same
# release of libzstd, level, window and tables, in one thread, the size of the
# whole in the frame, which a pipe would not tell. Of a file given by name zstd
# knows the end sooner, and cuts the last blocks otherwise.
set -eu
if [ "$*" != "-22 --ultra" ]; then
  echo "error: the kernel's build calls zstd with '$*', not as scripts/Makefile.lib of 6.12 does; see what it packs, then what it should say here" >&2
  exit 1
fi
whole=$(mktemp)
trap 'rm -f "$whole"' EXIT
cat > "$whole"
zstd --quiet --single-thread -12 --zstd=wlog=22,clog=22,hlog=22 --check \
  --stream-size="$(stat --format %s "$whole")" --stdout < "$whole"
