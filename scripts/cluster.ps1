# What kind-up.ps1 and k3d-up.ps1 share: images built and loaded, operators installed, the chart on top. Dot-sourced.
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..")

$Cluster = if ($env:SARAS_CLUSTER) { $env:SARAS_CLUSTER } else { "saras" }
$Namespace = "saras"
$Tag = if ($env:SARAS_TAG) { $env:SARAS_TAG } else { "0.1.0" }
$Port = if ($env:SARAS_PORT) { $env:SARAS_PORT } else { "8000" }
$Images = @("saras", "kite-sandbox", "api-gateway", "user-service", "portfolio-service", "smallcase-service", "trade-executor", "analytics-service", "notification-service")

$Cnpg = "https://raw.githubusercontent.com/cloudnative-pg/cloudnative-pg/release-1.24/releases/cnpg-1.24.1.yaml"
$RabbitMq = "https://github.com/rabbitmq/cluster-operator/releases/download/v2.11.0/cluster-operator.yml"

function Assert-Program([string[]]$Programs) {
    foreach ($program in $Programs) {
        if (-not (Get-Command $program -ErrorAction SilentlyContinue)) { throw "$program is not installed" }
    }
}

function Invoke-Checked([scriptblock]$Command) {
    & $Command
    if ($LASTEXITCODE -ne 0) { throw "failed with exit code ${LASTEXITCODE}: $Command" }
}

function Build-Images {
    foreach ($image in $Images) {
        Invoke-Checked { docker build --quiet --build-arg "SERVICE=$image" --file infra/Dockerfile --tag "saras/${image}:$Tag" . }
    }
}

function Install-Operators {
    Invoke-Checked { kubectl apply --server-side -f $Cnpg }
    Invoke-Checked { kubectl apply -f $RabbitMq }
    Invoke-Checked { helm upgrade --install redis-operator redis-operator --repo https://ot-container-kit.github.io/helm-charts --version 0.18.3 --namespace redis-operator --create-namespace --wait }
    Invoke-Checked { kubectl --namespace cnpg-system rollout status deployment/cnpg-controller-manager --timeout 180s }
    Invoke-Checked { kubectl --namespace rabbitmq-system rollout status deployment/rabbitmq-cluster-operator --timeout 180s }
}

function Install-Chart {
    Invoke-Checked { kubectl create namespace $Namespace --dry-run=client -o yaml | kubectl apply -f - }
    Invoke-Checked { helm upgrade --install saras k8s/saras --namespace $Namespace --values k8s/values/kind.yaml --set "image.tag=$Tag" }
    Invoke-Checked { kubectl --namespace $Namespace wait --for=condition=complete job --all --timeout 600s }
    Invoke-Checked { kubectl --namespace $Namespace wait --for=condition=available deployment --all --timeout 600s }
}

function Start-Forward {
    Write-Output "The gateway answers on http://127.0.0.1:$Port (Ctrl-C ends the forward, not the cluster)"
    Invoke-Checked { kubectl --namespace $Namespace port-forward service/saras-api-gateway "${Port}:8000" }
}
