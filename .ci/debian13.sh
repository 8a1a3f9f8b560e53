#!/usr/bin/env bash
# The engine tests with the engines of Debian 13 (Podman 5.4, crun 1.21, Docker 26.1), on any machine with debootstrap. Run as
# root; words are handed to pytest:
#
#   .ci/debian13.sh
#   .ci/debian13.sh tests/engines/test_container.py -k hang
#
# Debian 13 is a folder. It runs in mount, process, network and IPC namespaces of its own, so neither its engines nor its
# firewall meet those of this machine, and all of it ends when this script does. Its network is slirp4netns: a process, no
# rule on this machine. It shares the kernel and the control groups: tried with cgroups v1 and v2 mounted side by side.
# The folder stays for the next run: 9 GB with its images. `rm -rf --one-file-system` removes it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(realpath -m "${STRIXBENCH_DEBIAN13:-/var/cache/strixbench-ci-debian13}")
source "$here/engines.sh" "" # for its functions; the empty argument keeps it from reading our first one
packages=(debootstrap python3-venv slirp4netns) # needed on this machine

make_root() {
    [[ ! -e $root/etc/debian_version ]] || return 0
    rm -rf --one-file-system "$root.part"
    say "debootstrap into $root (about a minute)"
    mkdir -p "$root.part"
    # The engines only recommend docker-cli and passt, and the list of engines.sh is for Debian 12.
    debootstrap --variant=minbase --include=ca-certificates,docker-cli,iproute2,make,passt,procps,python3,python3-venv \
        trixie "$root.part" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; die "debootstrap failed"; }
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root.part/etc/pip.conf"
    # crun, Debian 13's default, accepts pure cgroups v1. A sandbox may not raise limits; see engines.sh.
    mkdir -p "$root.part/etc/containers"
    printf '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]\n' \
        >"$root.part/etc/containers/containers.conf"
    mv "$root.part" "$root"
}

copy_in() { # the working tree, the base image and torch
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    mkdir -p "$root$cache" "$root/srv/strixbench"
    cp -r --update "$cache/base.tar" "$cache/wheels" "$root$cache/"
    find "$root/srv/strixbench" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
    git -C "$here/.." ls-files -z --cached --others --exclude-standard |
        tar -C "$here/.." --null --files-from - --ignore-failed-read -cf - | tar -C "$root/srv/strixbench" -xf -
}

enter() { # Debian 13, in its namespaces
    # When the first process of a process namespace ends, the kernel ends all others in it.
    unshare --mount --pid --net --ipc --uts --fork --kill-child -- env -i HOME=/root LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin STRIXBENCH_DEBIAN13="$root" STRIXBENCH_CI_CACHE="$cache" \
        "$here/debian13.sh" --inside "$@" &
    local inside=$! own
    own=$(readlink /proc/self/ns/net)
    until [[ $(readlink "/proc/$inside/ns/net") != "$own" ]]; do
        kill -0 "$inside" || die "unshare failed"
        sleep 0.05
    done
    local made=()
    [[ -d /dev/net ]] || { mkdir /dev/net && made+=("rmdir /dev/net 2>/dev/null || true;"); }
    [[ -c /dev/net/tun ]] || { mknod /dev/net/tun c 10 200 && made=("rm -f /dev/net/tun;" "${made[@]}"); }
    slirp4netns --configure --disable-host-loopback --mtu=1500 "$inside" tap0 >"$root.network.log" 2>&1 &
    trap "kill $! $inside 2>/dev/null || true; ${made[*]}" EXIT
    wait "$inside"
}

mount_root() { # and make it the root
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
    # crun refuses mixed cgroups, and the version 2 that is mounted beside version 1 has no controllers.
    ! mountpoint -q "$root/sys/fs/cgroup/unified" || umount "$root/sys/fs/cgroup/unified"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    rm -rf "${root:?}/tmp"
    mkdir -m 1777 "$root/tmp"
    mkdir -p "$root/.outside"
    cd "$root"
    pivot_root . .outside
    cd /
    umount -l /.outside
    rmdir /.outside
}

run_inside() {
    mount_root
    echo 'nameserver 10.0.2.3' >/etc/resolv.conf # slirp4netns' own
    local end=$((SECONDS + 30))
    until ip -brief address show dev tap0 2>/dev/null | grep -q 10.0.2; do
        ((SECONDS < end)) || die "no network after 30 s: see $root.network.log"
        sleep 0.05
    done
    local overlay
    overlay=$(/srv/strixbench/.ci/engines.sh)
    say "$(podman --version), $(crun --version | head -n 1), $(docker version --format 'Docker {{.Server.Version}}')"
    STRIXBENCH_CATALOG=$overlay STRIXBENCH_TEST_ENGINES=podman,docker \
        make --directory /srv/strixbench PYTHON=/usr/bin/python3 test-engines ARGS="${*@Q}"
}

if [[ ${1:-} == --inside ]]; then
    shift
    run_inside "$@" # not exec: the first process must reap what others leave
    exit
fi

((EUID == 0)) || die "must run as root"
umask 022
mkdir -p "$cache" "${root%/*}"
install_packages >&2
make_base >&2
download_torch >&2
make_root >&2
copy_in
enter "$@"
