// Package chart tests charts/s3veil with Helm, kubeconform and Kubernetes' own schemas. .ci/chart installs what it needs.
package chart
