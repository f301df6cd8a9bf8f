#!/usr/bin/env bash
# A k3d cluster with everything: images built here, operators, the chart, and the gateway on 127.0.0.1:8000.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
need docker k3d kubectl helm
k3d cluster get "$CLUSTER" >/dev/null 2>&1 || k3d cluster create "$CLUSTER" --wait --timeout 180s
kubectl config use-context "k3d-$CLUSTER"
build_images
for image in "${IMAGES[@]}"; do
    k3d image import --cluster "$CLUSTER" "saras/$image:$TAG"
done
install_operators
install_chart
forward
