# A kind cluster with everything: images built here, operators, the chart, and the gateway on 127.0.0.1:8000.
. (Join-Path $PSScriptRoot "cluster.ps1")
Assert-Program docker, kind, kubectl, helm
if ((kind get clusters) -notcontains $Cluster) { Invoke-Checked { kind create cluster --name $Cluster --wait 180s } }
Invoke-Checked { kubectl config use-context "kind-$Cluster" }
Build-Images
foreach ($image in $Images) { Invoke-Checked { kind load docker-image --name $Cluster "saras/${image}:$Tag" } }
Install-Operators
Install-Chart
Start-Forward
