#!/usr/bin/env bash
# Installs what the tests need, checks style and types, then runs all tests but the slow ones.
# Arguments go to pytest:  bash launch/test.sh tests/ops -k warp
# Tests marked slow run on request:  bash launch/test.sh -m slow
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment dev
cd "$root"
say 'checking the style'
"$python" -m ruff check
say 'checking the types'
"$python" -m basedpyright --pythonpath "$python"
say 'running the tests'
# Most of a test is one thread compiling, so two at a time; a file's tests share what it sets up.
exec "$python" -m pytest --numprocesses 2 --dist loadfile -m "not slow" "$@"
