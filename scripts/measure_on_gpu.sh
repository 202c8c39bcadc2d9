#!/usr/bin/env bash
# Measures what BENCHMARKS.md lists as still to be measured on a GPU, in under ten minutes:
# scripts/measure_on_gpu.sh [OUTPUT.json] [options of faststyle benchmark gpu]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
output=gpu.json
case ${1:--} in
  -*) ;;
  *) output=$1 && shift ;;
esac
python=("$(command -v python || command -v python3 || echo python3)")
if command -v uv >/dev/null; then python=(uv run --project "$root" python); fi
PYTHONPATH="$root/src" exec "${python[@]}" -m faststyle benchmark gpu --output "$output" "$@"
