#!/usr/bin/env bash
# Remove the kind cluster and everything in it.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
need kind
kind delete cluster --name "$CLUSTER"
