#!/usr/bin/env bash
# Whether the committed HEAD works on a Debian 12 that has only what the README asks for. `make bare` runs it.
#
#   bare.sh [COMMAND...]    build such a Debian, clone HEAD into root's home in it, and run each command there
#
# Without a COMMAND it runs `make run ARGS=--exit` and `make test` (WORKERS is passed on). It ends with 1 when one of them fails. Where it
# cannot run it says why and ends with 0. It needs root, git and apt, and installs mmdebstrap when that is missing. Packages come from
# where they come from outside: apt's Debian sources and proxies, pip's settings, and the local folders and certificates pip's settings name.
# Everything happens in a temporary folder and in namespaces of its own, so nothing that is started or mounted outlives it.
set -euo pipefail

packages=python3,python3-pip,make,ca-certificates
release=bookworm

skip() {
  echo "bare: skipped: $*"
  exit 0
}

# apt's own sources for this release of Debian; none when this machine is something else, and mmdebstrap then takes Debian's.
debian_sources() {
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    awk -v release="$release" 'index($3, release) == 1' | sort -u
}

apt_settings() {
  apt-config dump | grep -iE '^Acquire::([a-z]+::Proxy|Check-)' || true
}

pip_files() {
  HOME=/root python3 -m pip config debug | sed -n 's/^ *\(.*\), exists: True$/\1/p'
}

# The files and folders that pip's settings name. The pages of an index link to files beside it, so its parent is what is needed.
pip_places() {
  local place
  HOME=/root python3 -m pip config list | sed 's/\\n/\n/g' | tr "'\"= " '\n' | while read -r place; do
    case $place in
      file:///*/*) place=${place#file://}; place=$(dirname "${place%/}") ;;
      file:///*) place=${place#file://} ;;
    esac
    case $place in /*) [ ! -e "$place" ] || echo "$place" ;; esac
  done | sort -u
}

build() {
  local root=$1 work=$2
  debian_sources > "$work/sources.list"
  apt_settings > "$work/apt.conf"
  [ -s "$work/sources.list" ] && set -- "$work/sources.list" || set --
  mmdebstrap --variant=minbase --include="$packages" --aptopt="$work/apt.conf" "$release" "$root" "$@" > "$work/log" 2>&1 < /dev/null
}

furnish() {
  local root=$1 file
  cp /etc/hosts "$root/etc/hosts"
  { pip_files; pip_places; } | while read -r file; do
    [ -d "$file" ] || cp --parents --dereference "$file" "$root"
  done
  git clone --quiet --no-hardlinks "$(git rev-parse --show-toplevel)" "$root/root/gatehouse"
}

# Runs as the first process of its own process and mount namespaces: when it ends, the kernel ends and unmounts everything else.
inside() {
  local root=$1 place name command started failed=0 kept=() told=()
  shift
  mount -t proc proc "$root/proc"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
  while read -r place; do
    [ -d "$place" ] || continue
    mkdir -p "$root$place"
    mount --bind "$place" "$root$place"
    mount -o remount,bind,ro "$root$place"
  done < <(pip_places)
  for name in $(compgen -e); do
    case $name in PIP_* | *_proxy | *_PROXY) kept+=("$name=${!name}") ;; esac
  done
  for command in "$@"; do
    started=$SECONDS
    if env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "${kept[@]}" chroot "$root" bash -c "cd /root/gatehouse && $command"; then
      told+=("bare: $command: ok, in $((SECONDS - started)) s")
    else
      failed=1
      told+=("bare: $command: FAILED, after $((SECONDS - started)) s")
    fi
  done
  printf '%s\n' "${told[@]}"
  exit $failed
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
fi

[ "$(id -u)" = 0 ] || skip "only root can build and enter another system"
command -v apt-get > /dev/null || skip "there is no apt-get, so no Debian can be built"
command -v git > /dev/null || skip "there is no git to clone HEAD with"
python3 -m pip --version > /dev/null 2>&1 || skip "there is no pip whose settings could be read"
unshare --mount --pid --fork true 2> /dev/null || skip "this process may not make namespaces"
if ! command -v mmdebstrap > /dev/null; then
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap; } > /dev/null 2>&1 || skip "mmdebstrap cannot be installed"
fi
[ $# -gt 0 ] || set -- "make run ARGS=--exit" "make test WORKERS=${WORKERS:-4}"

self=$(realpath "$0")
cd "$(dirname "$self")"
[ -z "$(git status --porcelain)" ] || echo "bare: changes that are not committed are not in it"
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
echo "bare: building a Debian 12 with $packages (a few minutes)"
build "$work/root" "$work" || skip "it could not be built: $(grep '^E:' "$work/log" | head -1)"
furnish "$work/root"
unshare --mount --pid --fork --kill-child bash "$self" --inside "$work/root" "$@"
