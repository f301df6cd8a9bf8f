#!/usr/bin/env bash
# A kind cluster with everything: images built here, operators, the chart, and the gateway on 127.0.0.1:8000.
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"
need docker kind kubectl helm
kind get clusters | grep -qx "$CLUSTER" || kind create cluster --name "$CLUSTER" --wait 180s
kubectl config use-context "kind-$CLUSTER"
build_images
for image in "${IMAGES[@]}"; do
    kind load docker-image --name "$CLUSTER" "saras/$image:$TAG"
done
install_operators
install_chart
forward
