// Package kube installs charts/s3veil into a real Kubernetes control plane: API server, controllers, scheduler and etcd run as
// processes on loopback, a node that only pretends (kwok) reports every pod as running. What the API server decides is real;
// probes, volumes and networks are not, and are shown with podman elsewhere. .ci/kube builds what it needs.
package kube
