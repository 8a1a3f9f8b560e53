#!/usr/bin/env bash
# Prepares a bare Debian 12 machine for tests with real Docker, rootful Podman and rootless
# Podman, without a container registry. Run it as root, as often as you like: it leaves
# what is already there alone.
#
#   overlay=$(.ci/engines.sh)            # stdout: the overlay TOML's path, nothing else
#   STRIXBENCH_CI_CACHE=/some/dir .ci/engines.sh     (or the directory as first argument)
#
# Rootless Podman then runs as:
#   runuser -u strixbench-ci -- env HOME=/home/strixbench-ci \
#       XDG_RUNTIME_DIR=/run/user/$(id -u strixbench-ci) podman ...
set -euo pipefail

cache=$(realpath -m "${1:-${STRIXBENCH_CI_CACHE:-/var/cache/strixbench-ci}}")
user=strixbench-ci
image=localhost/strixbench-offline-base:bookworm
torch=2.13.0
docker_sock=/var/run/docker.sock
packages=(podman buildah runc crun netavark aardvark-dns uidmap slirp4netns fuse-overlayfs
          iptables docker.io debootstrap python3-venv)

say() { printf 'engines: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

install_packages() {
    local missing=() p
    for p in "${packages[@]}"; do
        [[ $(dpkg-query -Wf '${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || missing+=("$p")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    # A third-party source that is down must not stop us if Debian's own sources answered.
    apt-get -qq update || say "apt-get update failed in part; going on"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"
}

configure_podman() {
    # Only a sandbox with old or mixed cgroups needs this: crun, the default, refuses them.
    # (The cgroup manager need not be set: without systemd, Podman takes cgroupfs itself.)
    # Such a sandbox may not raise its limits either, and Podman's defaults are higher.
    [[ $(stat -fc %T /sys/fs/cgroup) != cgroup2fs ]] || return 0
    local conf=/etc/containers/containers.conf
    [[ ! -e $conf ]] || return 0
    say "writing $conf"
    mkdir -p "${conf%/*}"
    cat >"$conf" <<-'CONF'
		[containers]
		default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]

		[engine]
		runtime = "runc"
	CONF
}

docker_answers() { timeout 10 docker --host "unix://$docker_sock" version >/dev/null 2>&1; }

start_dockerd() {
    docker_answers && return 0
    local log=/var/log/strixbench-ci-dockerd.log
    say "starting dockerd, log in $log"
    # In a session of its own and without a terminal, it outlives this script.
    setsid nohup dockerd --host "unix://$docker_sock" >"$log" 2>&1 </dev/null &
    # The socket counts, not our process: the package may have just started another dockerd,
    # and then ours ends at once.
    local end=$((SECONDS + 60))
    until docker_answers; do
        ((SECONDS < end)) || { tail -n 20 "$log" >&2; die "no dockerd answers after 60 s"; }
        sleep 0.2
    done
}

rootless() { # runs a command as the rootless user, from /: our folder may be closed to that user
    (cd / && runuser -u "$user" -- env HOME="$home" XDG_RUNTIME_DIR="$runtime_dir" "$@")
}

prepare_rootless() {
    if ! id "$user" >/dev/null 2>&1; then
        say "creating user $user"
        useradd --create-home --user-group --shell /bin/bash "$user"
    fi
    # useradd assigns subordinate ids itself, unless login.defs says otherwise.
    local kind
    for kind in uid gid; do
        grep -q "^$user:" "/etc/sub$kind" 2>/dev/null ||
            usermod "--add-sub${kind}s" 700000000-700065535 "$user"
    done
    home=$(getent passwd "$user" | cut -d: -f6)
    runtime_dir=/run/user/$(id -u "$user") # here no login session makes it
    install -d -m 0755 /run/user
    install -d -m 0700 -o "$user" -g "$user" "$runtime_dir"

    # slirp4netns, the rootless network, opens the tun device as the user.
    if [[ ! -c /dev/net/tun ]]; then mkdir -p /dev/net; mknod /dev/net/tun c 10 200; fi
    chmod 0666 /dev/net/tun
    # ipc=host mounts the host's message queues, and a container does not start without them.
    mkdir -p /dev/mqueue
    mountpoint -q /dev/mqueue || mount -t mqueue mqueue /dev/mqueue

    # Unless told otherwise, Debian's Podman uses vfs, a full copy of every layer. The kernel's
    # overlay works in a user namespace.
    # A store that exists already keeps its driver.
    local conf=$home/.config/containers/storage.conf
    if [[ ! -e $conf && ! -e $home/.local/share/containers ]]; then
        install -d -o "$user" -g "$user" "$home/.config" "$home/.config/containers"
        printf '[storage]\ndriver = "overlay"\n' >"$conf"
    fi

    # If the machine was cut off during a run and /run outlived that, Podman takes dead containers
    # for running ones, and refuses every command until told that they are not.
    if ! rootless podman info >/dev/null 2>&1; then
        say "reviving rootless Podman"
        rootless podman system migrate
        rootless podman rm --all --force --time 0
    fi
}

make_base() { # the base image as a tarball, from Debian's packages alone
    [[ ! -s $cache/base.tar ]] || return 0
    local root
    rm -rf --one-file-system "$cache"/rootfs.* # what an interrupted run left
    root=$(mktemp -d "$cache/rootfs.XXXXXX")
    say "debootstrap into $root (about 40 s)"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$root" \
        >"$cache/debootstrap.log" 2>&1 || { tail -n 20 "$cache/debootstrap.log" >&2; die "debootstrap failed"; }
    # Builds reach the package index the way this machine does, so they must trust what it
    # trusts.
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
    # Remove what debootstrap copies from this machine: its name, its resolver, logs.
    : >"$root/etc/resolv.conf"
    rm -rf "$root"/etc/hostname "$root"/var/log/* "$root"/var/lib/apt/lists/* \
        "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
    tar -C "$root" --numeric-owner --exclude='./dev/*' -cf "$cache/base.tar.part" .
    rm -rf "$root"
    mv "$cache/base.tar.part" "$cache/base.tar"
}

import_base() {
    # A tarball has no image configuration; every engine gets the same one.
    local change=(--change 'CMD ["/bin/bash"]'
                  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin')
    if ! docker --host "unix://$docker_sock" image inspect "$image" >/dev/null 2>&1; then
        make_base
        say "importing into Docker"
        docker --host "unix://$docker_sock" import "${change[@]}" - "$image" <"$cache/base.tar"
    fi
    if ! podman image exists "$image"; then
        make_base
        say "importing into rootful Podman"
        podman import -q "${change[@]}" - "$image" <"$cache/base.tar"
    fi
    if ! rootless podman image exists "$image"; then
        make_base
        say "importing into rootless Podman"
        rootless podman import -q "${change[@]}" - "$image" <"$cache/base.tar"
    fi
}

download_torch() {
    local wheels=("$cache/wheels/torch-$torch"*.whl)
    if [[ ! -e ${wheels[0]} ]]; then
        say "downloading torch $torch"
        local python=python3
        if ! python3 -m pip --version >/dev/null 2>&1; then # Debian's own python3 has no pip
            python3 -m venv "$cache/venv"
            python=$cache/venv/bin/python3
        fi
        # For the image's Python, not for this machine's.
        "$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 \
            -d "$cache/wheels.part" "torch==$torch"
        mkdir -p "$cache/wheels"
        mv "$cache/wheels.part"/*.whl "$cache/wheels/"
        rmdir "$cache/wheels.part"
        wheels=("$cache/wheels/torch-$torch"*.whl)
    fi
    # The public index has only the CUDA build under this version. pip's configuration must lead
    # to a CPU build, or every image built from it would lack libraries.
    [[ ${wheels[0]} == *+cpu-* ]] || die "not a CPU build of torch: ${wheels[0]}"
}

write_overlay() {
    cat >"$cache/overlay.toml" <<-TOML
		# Written by .ci/engines.sh.
		[images.cpu]
		base = "$image"
		wheels = "$cache/wheels"
		# Two runs beside each other, whose threads would wait for each other's processors.
		[variants.cpu]
		threads = 1
	TOML
}

main() {
    ((EUID == 0)) || die "must run as root"
    umask 022
    mkdir -p "$cache"
    install_packages
    configure_podman
    start_dockerd
    prepare_rootless
    import_base
    download_torch
    write_overlay
    chmod -R a+rX "$cache"
    rootless test -r "$cache/overlay.toml" || die "$user cannot read $cache"
}

# debian13.sh only takes functions from here.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    main >&2
    echo "$cache/overlay.toml"
fi
