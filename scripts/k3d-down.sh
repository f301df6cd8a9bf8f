#!/usr/bin/env bash
# Remove the k3d cluster and everything in it.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
need k3d
k3d cluster delete "$CLUSTER"
