# Remove the k3d cluster and everything in it.
. (Join-Path $PSScriptRoot "cluster.ps1")
Assert-Program k3d
Invoke-Checked { k3d cluster delete $Cluster }
