# What kind-up.sh and k3d-up.sh share: images built and loaded, operators installed, the chart on top. Sourced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CLUSTER=${SARAS_CLUSTER:-saras}
NAMESPACE=saras
TAG=${SARAS_TAG:-0.1.0}
PORT=${SARAS_PORT:-8000}
IMAGES=(saras kite-sandbox api-gateway user-service portfolio-service smallcase-service trade-executor analytics-service notification-service)

CNPG=https://raw.githubusercontent.com/cloudnative-pg/cloudnative-pg/release-1.24/releases/cnpg-1.24.1.yaml
RABBITMQ=https://github.com/rabbitmq/cluster-operator/releases/download/v2.11.0/cluster-operator.yml

need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "$program is not installed" >&2; exit 1; }
    done
}

build_images() {
    for image in "${IMAGES[@]}"; do
        docker build --quiet --build-arg "SERVICE=$image" --file infra/Dockerfile --tag "saras/$image:$TAG" .
    done
}

install_operators() {
    kubectl apply --server-side -f "$CNPG"
    kubectl apply -f "$RABBITMQ"
    helm upgrade --install redis-operator redis-operator --repo https://ot-container-kit.github.io/helm-charts \
        --version 0.18.3 --namespace redis-operator --create-namespace --wait
    kubectl --namespace cnpg-system rollout status deployment/cnpg-controller-manager --timeout 180s
    kubectl --namespace rabbitmq-system rollout status deployment/rabbitmq-cluster-operator --timeout 180s
}

install_chart() {
    kubectl create namespace "$NAMESPACE" --dry-run=client -o yaml | kubectl apply -f -
    helm upgrade --install saras k8s/saras --namespace "$NAMESPACE" --values k8s/values/kind.yaml --set "image.tag=$TAG"
    kubectl --namespace "$NAMESPACE" wait --for=condition=complete job --all --timeout 600s
    kubectl --namespace "$NAMESPACE" wait --for=condition=available deployment --all --timeout 600s
}

forward() {
    echo "The gateway answers on http://127.0.0.1:$PORT (Ctrl-C ends the forward, not the cluster)"
    exec kubectl --namespace "$NAMESPACE" port-forward service/saras-api-gateway "$PORT:8000"
}
