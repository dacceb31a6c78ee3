# Runs the phases of a package. Each phase is text in the environment variable
# of its name; a phase that is not set has the default below or is left out.
set -euo pipefail

export PATH=/usr/bin:/usr/sbin
export HOME=$NIX_BUILD_TOP/home
export LANG=C.UTF-8 LC_ALL=C.UTF-8 TZ=UTC
mkdir -p "$HOME"

unpack_default() {
    [ -n "${src:-}" ] || return 0
    mkdir -p "$NIX_BUILD_TOP/source"
    if [ -d "$src" ]; then
        cp -r --no-preserve=mode,ownership "$src/." "$NIX_BUILD_TOP/source"
    else
        tar -xf "$src" --strip-components=1 --no-same-owner -C "$NIX_BUILD_TOP/source"
    fi
}

patch_default() {
    for patch in ${patches:-}; do
        echo "applying ${patch##*/}"
        patch -p1 --no-backup-if-mismatch < "$patch"
    done
}

run_phase() {
    local name=$1 text
    text=${!name-}
    case $name in
        unpackPhase) [ -n "$text" ] || text=unpack_default ;;
        patchPhase) [ -n "$text" ] || text=patch_default ;;
    esac
    [ -n "$text" ] || return 0
    echo "@phase ${name%Phase}"
    [ -d "$NIX_BUILD_TOP/source" ] && cd "$NIX_BUILD_TOP/source"
    eval "$text"
}

for phase_name in unpackPhase patchPhase configurePhase buildPhase checkPhase installPhase; do
    run_phase "$phase_name"
done

for output in ${outputs:-out}; do
    if [ ! -e "${!output}" ]; then
        echo "error: the phases did not make output '$output'" >&2
        exit 1
    fi
done
