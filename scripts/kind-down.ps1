# Remove the kind cluster and everything in it.
. (Join-Path $PSScriptRoot "cluster.ps1")
Assert-Program kind
Invoke-Checked { kind delete cluster --name $Cluster }
