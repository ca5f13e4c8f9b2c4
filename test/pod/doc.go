// Package pod plays pods that charts/s3veil renders with podman: the real image of s3veil, an application and a store in one
// network namespace, with the users, file systems and privileges that the chart asks for. The test is the kubelet: it lays out
// Secrets, asks the probes, and starts and ends containers in the order that native sidecars have, which podman 4.3 does not
// know (https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/). .ci/pod builds what it needs.
package pod
