# shellcheck shell=bash
# Sourced by demo.sh and test.sh, never run by itself. Makes a virtual environment with the pinned
# packages once, and reuses it until pyproject.toml or requirements.txt changes.
#
# The environment lies in .venv of this checkout, or where FER_JAX_VENV points. PYTHON names the
# interpreter to build it with.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${FER_JAX_VENV:-$root/.venv}"
[[ "$venv" = /* ]] || venv="$PWD/$venv"
python="$venv/bin/python"

# Idle OpenMP threads wait asleep: spinning ones take the core that the other half of a test needs.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"

say() {
    printf '\n==> %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Debian packages, where they can be had without asking for a password; else the command to type.
system_packages() {
    # A new host is often installing something by itself, which is waited for.
    local said apt=(env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -o DPkg::Lock::Timeout=600)
    if ! command -v apt-get >/dev/null; then
        fail "please install the equivalent of these Debian packages, then start again: $*"
    elif [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null ||
            fail "Debian packages are missing; install them with 'sudo apt-get install -y $*', then start again"
        apt=(sudo "${apt[@]}")
    fi
    say "installing Debian packages: $*"
    for _ in {1..60}; do
        # apt-get itself does not wait for the lock of its lists.
        if said="$("${apt[@]}" update -q 2>&1)" || [[ "$said" != *'Could not get lock'* ]]; then
            break
        fi
        sleep 10
    done
    printf '%s\n' "$said"
    "${apt[@]}" install -y --no-install-recommends "$@"
}

# The first interpreter that runs and is new enough. The system's own comes first: its venv and
# headers are the ones that Debian packages.
find_interpreter() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; install it, or name one with PYTHON=/path/to/python"
}

make_virtual_environment() {
    if "$python" -c 'import pip' 2>/dev/null; then
        return
    fi
    if [ -f "$venv/pyvenv.cfg" ] && "$python" -c '' 2>/dev/null; then
        "$python" -m ensurepip || fail "the environment in $venv has no pip: install it there, then start again"
        return
    fi
    if [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>/dev/null)" ]; then
        fail "$venv is no virtual environment and not empty: let FER_JAX_VENV name another folder"
    fi
    local interpreter version
    interpreter="$(find_interpreter)"
    version="$("$interpreter" -c 'import sys; print(f"{sys.version_info[0]}.{sys.version_info[1]}")')"
    # Debian ships venv without the pip it puts into an environment; that is a package of its own.
    if ! "$interpreter" -c 'import ensurepip, venv' 2>/dev/null; then
        system_packages "python$version-venv"
    fi
    say "making a virtual environment with Python $version in $venv"
    "$interpreter" -m venv --clear "$venv"
}

# prepare_environment core|EXTRA: the core install, with one extra where named. The stamp is
# written last, so an interrupted installation is taken up again.
prepare_environment() {
    local extra="${1#core}" stamp wanted
    stamp="$venv/installed-$1"
    make_virtual_environment
    wanted="$(cat "$root/pyproject.toml" "$root/requirements.txt" | sha256sum)"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "installing fer_jax${extra:+ with what its $extra extra needs} into $venv (once)"
        "$python" -m pip install --disable-pip-version-check \
            --constraint "$root/requirements.txt" --editable "$root${extra:+[$extra]}"
        # An environment with an extra is one with the core too.
        printf '%s\n' "$wanted" | tee "$venv/installed-core" >"$stamp"
    fi
}
