#!/usr/bin/env bash
# Measures this project on a GPU by one command, in at most nine minutes: the tests that need CUDA, the ways to run a
# backbone side by side, the way from text to sealed shards, and the server. Every figure is printed and appended to a file
# of JSON lines as soon as it is measured, so a run that is cut short has some. A stage that fails says why, and the next
# one runs; the exit status at the end is 1 if any stage failed.
#
#   benchmarks/gpu.sh [--tiny] [FIGURES]
#
# FIGURES defaults to gpu-results.jsonl. --tiny measures the bundled backbone's shape instead of Llama 3 8B's (16 GB of
# weights), to try the script itself, on a CPU too. Environment variables:
#   PYTHON   an interpreter with torch, transformers, numpy, pyarrow, h5py, rich and typer; by default python3.
#   STAGES   names of the stages to run: machine, tests, products, ways, end-to-end, server; by default all.
#   WHEELS   a folder with wheels of the other packages (requirements/gpu.txt), for a machine without a registry.
set -u
cd "$(dirname "$0")/.."

shape=llama-3-8b
if [ "${1:-}" = --tiny ]; then
    shape=tiny
    shift
fi
figures=$(realpath -m "${1:-gpu-results.jsonl}")
python=${PYTHON:-python3}
whole=540  # seconds
failed=()
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=true PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
export TORCHINDUCTOR_CACHE_DIR=$scratch/inductor
export PYTHONPATH=$PWD
if [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir --target "$scratch/site" \
        "$WHEELS"/*.whl || exit 1
    export PYTHONPATH=$PWD:$scratch/site
fi

# stage NAME SECONDS COMMAND…: run the command for at most SECONDS, and not longer than the whole script may take.
stage() {
    local name=$1 limit=$2 left=$((whole - SECONDS)) before=$SECONDS status
    shift 2
    [[ " ${STAGES:-$name} " == *" $name "* ]] || return 0
    if [ "$left" -lt 10 ]; then
        echo "== $name: no time is left for it"
        status=124
    else
        echo "== $name"
        timeout --kill-after=10 "$((limit < left ? limit : left))" "$@" 2>&1
        status=$?
        [ "$status" = 124 ] && echo "$name was cut short"
    fi
    [ "$status" = 0 ] || failed+=("$name")
    printf '{"stage": "%s", "exit_status": %d, "seconds": %d}\n' "$name" "$status" $((SECONDS - before)) |
        tee -a "$figures"
}

if [ "$shape" = tiny ]; then
    ways=(--times 0.02 --rounds 1) long=(--times 0.04 --rounds 1) load=(--times 0.02 --rounds 1)
else
    ways=(--times 1 --rounds 2) long=(--times 4 --rounds 1) load=(--times 0.15 --rounds 2)
fi
extract=("$python" -m benchmarks.extract --shape "$shape" --figures "$figures")

serve() {
    "$python" -m benchmarks.random_model "$scratch/folder" --shape "$shape" &&
        "$python" -m benchmarks.serve "$scratch/folder/model" --servers armorm "${load[@]}" --figures "$figures"
}
export -f serve

stage machine 60 "$python" -m benchmarks.gpu_machine --figures "$figures"
stage tests 120 "$python" -m pytest -q -rs -p no:cacheprovider -W default tests/extract/test_cuda.py \
    tests/heads/ridge/test_products.py
stage products 30 "$python" -m benchmarks.block_products --figures "$figures"
stage ways 270 "${extract[@]}" "${ways[@]}" --stage ways
stage end-to-end 120 "${extract[@]}" "${long[@]}" --stage end-to-end --ways "packed, compiled" "end to end"
stage server 150 bash -c "$(declare -p python scratch shape load figures); serve"

if [ "${#failed[@]}" -gt 0 ]; then
    echo "after $SECONDS s, not done: $(IFS=,; echo "${failed[*]}")"
    exit 1
fi
echo "all done after $SECONDS s"
