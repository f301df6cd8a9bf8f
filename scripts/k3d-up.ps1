# A k3d cluster with everything: images built here, operators, the chart, and the gateway on 127.0.0.1:8000.
. (Join-Path $PSScriptRoot "cluster.ps1")
Assert-Program docker, k3d, kubectl, helm
k3d cluster get $Cluster *> $null
if ($LASTEXITCODE -ne 0) { Invoke-Checked { k3d cluster create $Cluster --wait --timeout 180s } }
Invoke-Checked { kubectl config use-context "k3d-$Cluster" }
Build-Images
foreach ($image in $Images) { Invoke-Checked { k3d image import --cluster $Cluster "saras/${image}:$Tag" } }
Install-Operators
Install-Chart
Start-Forward
