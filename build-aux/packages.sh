#!/bin/sh
# packages.sh WHAT... - make sure that the packages of packages.list of these kinds are installed.
#
# All there: no word, a fraction of a second. Root on a Debian machine: installs what is missing, with daemons kept
# from starting. Otherwise names what is missing. A missing `build` package is an error; any other is one if
# BEARWRAP_REQUIRE_PEERS is set, and else a loud line, for its tests skip.
set -eu

here=$(dirname "$0")
kinds=" $* "
policy=/usr/sbin/policy-rc.d
made_policy=

# names KIND... - the packages of these kinds, each once.
names() {
    while read -r kind name _why; do
        case " $* " in *" $kind "*) echo "$name" ;; esac
    done <"$here/packages.list" | sort -u
}

# missing - those of the names on stdin that are not installed.
missing() {
    wanted=$(cat)
    # shellcheck disable=SC2086 # a list of names
    dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null | sed -n 's/^ii *//p' >"$list" || true
    for name in $wanted; do
        grep -qx "$name" "$list" || echo "$name"
    done
}

cleanup() {
    rm -f "$list" "$list.log"
    if [ -n "$made_policy" ]; then rm -f "$policy"; fi
}

if ! command -v dpkg-query >/dev/null; then
    echo "packages: not a Debian machine; these packages or their like are needed:" $(names "$@") >&2
    exit 0
fi
list=$(mktemp)
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

absent=$(names "$@" | missing)
[ -n "$absent" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    echo "packages: installing" $absent
    export DEBIAN_FRONTEND=noninteractive
    if [ ! -e "$policy" ]; then
        # Installed for their programs; no daemon of theirs may start on this machine.
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    apt-get -q update >/dev/null || echo "packages: apt-get update failed; trying what is known" >&2
    # shellcheck disable=SC2086
    if ! apt-get -qq install -y --no-install-recommends $absent </dev/null >"$list.log" 2>&1; then
        # One that cannot be had must not keep the others away.
        for name in $absent; do
            apt-get -qq install -y --no-install-recommends "$name" </dev/null >>"$list.log" 2>&1 ||
                echo "packages: $name cannot be installed: $(sed -n 's/^E: //p' "$list.log" | tail -n 1)" >&2
        done
    fi
    absent=$(names "$@" | missing)
    [ -n "$absent" ] || exit 0
fi

echo "packages: MISSING:" $absent >&2
echo "packages: as root: apt-get install" $absent >&2
case $kinds in
*" build "*)
    if [ -n "$(names build | missing)" ]; then exit 1; fi
    ;;
esac
if [ -n "${BEARWRAP_REQUIRE_PEERS:-}" ] && [ -n "$(names test demo | missing)" ]; then exit 1; fi
echo "packages: going on without; what needs them is skipped" >&2
