#!/usr/bin/env bash
# Trains on a Cloud TPU pod slice: launch/tpu_pod.sh NAME ZONE --config configs/... --out gs-mount/...
# The slice exists already (gcloud compute tpus tpu-vm create); every host has this repository in
# ~/i2uv_jax, `uv sync --extra tpu` done, and the run's folder on a file system that all share.
set -euo pipefail
name=${1:?usage: tpu_pod.sh NAME ZONE TRAIN_ARGUMENTS...}
zone=${2:?usage: tpu_pod.sh NAME ZONE TRAIN_ARGUMENTS...}
shift 2
arguments=$(printf '%q ' "$@")
gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
  --command="cd ~/i2uv_jax && uv run --extra tpu python -m launch.train --distributed --resume $arguments"
