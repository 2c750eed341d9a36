#!/usr/bin/env bash
# Builds the site of docs/ into site/ and fails on a broken link or anchor; site/index.html opens
# without a server. Arguments go to mkdocs build:  bash launch/docs.sh --site-dir=/tmp/site
set -euo pipefail
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment docs
cd "$root"
say 'building the site'
export NO_MKDOCS_2_WARNING=1 # the pins hold its versions
"$python" -m mkdocs build --strict --quiet "$@"
say "built: open $root/site/index.html"
