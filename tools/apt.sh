#!/bin/sh
# Install the Debian packages named as arguments that are missing, when we may; say so when we may not.
set -eu
missing=""
for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "not a Debian system: tests that need these packages are skipped:$missing" >&2
elif [ "$(id -u)" = 0 ]; then
    echo "installing with apt-get:$missing"
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        # Some are servers: the tests start their own, the machine shall not.
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "not root: tests that need these packages are skipped; install them with: sudo apt-get install$missing" >&2
fi
