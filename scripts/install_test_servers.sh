#!/bin/sh
# Installs the MariaDB server and the browser that the tests start for themselves, where they are missing, we are root and this is Debian.
# Only programs are installed (mariadb-server-core, mariadb-client-core): no service, nothing that starts by itself.
# With CI=true the programs that some tests take as peers come too, promtool without its server, and Azurite from npm, which
# goes into the virtual environment FOLDER: install_test_servers.sh FOLDER. Where nothing can be installed, it says so and
# goes on: the tests then skip with a reason, or fail where CI=true.
set -eu

folder=${1:?usage: install_test_servers.sh FOLDER}
PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
export DEBIAN_FRONTEND=noninteractive

is_there() {
    command -v "$1" >/dev/null 2>&1
}

can_install() {
    [ "$(id -u)" = 0 ] && is_there apt-get
}

packages=
if [ -z "${BACKSTAY_TEST_MYSQL:-}" ] && ! is_there mariadbd && ! is_there mysqld; then
    if can_install; then
        packages="mariadb-server-core mariadb-client-core"
    else
        echo "No mariadbd on PATH: tests that need MariaDB will be skipped (install it, or name a server by BACKSTAY_TEST_MYSQL)."
    fi
fi
if ! is_there chromium && ! is_there chromium-browser && ! is_there google-chrome; then
    if can_install; then
        packages="$packages chromium"
    else
        echo "No Chromium on PATH: tests of the pages in a browser will be skipped."
    fi
fi
if [ "${CI:-}" = true ] && can_install; then
    for peer in rsync:rsync getfacl:acl getfattr:attr setcap:libcap2-bin curl:curl jq:jq php:php-cli unzip:unzip zip:zip npm:npm 7z:p7zip-full zstd:zstd systemd-analyze:systemd; do
        is_there "${peer%%:*}" || packages="$packages ${peer#*:}"
    done
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ -n "$packages" ]; then
    echo "installing with apt:" $packages
    # shellcheck disable=SC2086  # a list of words
    if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages; } </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "apt could not install $packages: tests that need them will be skipped." >&2
    fi
fi

azurite=$folder/share/azurite
if [ "${CI:-}" = true ] && is_there npm && ! is_there azurite-blob && [ ! -x "$azurite/node_modules/.bin/azurite-blob" ]; then
    echo "installing with npm: azurite"
    mkdir -p "$azurite"
    if ! npm install --prefix "$azurite" --no-audit --no-fund --omit=optional azurite@3 </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "npm could not install azurite: tests that need it will be skipped." >&2
    fi
fi

# The checker alone is taken out of the package: the rest is a service that starts.
take_promtool() {
    place=$(mktemp -d) && chmod 755 "$place" && cd "$place" && apt-get update -qq && apt-get download -qq prometheus &&
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool &&
        install -m 755 usr/bin/promtool /usr/local/bin/promtool && cd / && rm -r "$place"
}

if [ "${CI:-}" = true ] && can_install && ! is_there promtool; then
    echo "taking promtool out of Debian's package prometheus"
    if ! take_promtool </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "promtool could not be had: tests that need it will be skipped." >&2
    fi
fi
