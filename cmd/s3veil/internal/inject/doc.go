// Package inject is a mutating admission webhook of Kubernetes that puts s3veil into pods as a native sidecar
// (https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/, API admission.k8s.io/v1).
//
// A pod asks for it with annotations; a Profile of the webhook's own configuration says what the sidecar looks like and what
// the annotations may change. From pod to patch everything is a pure function: no call to any other service, so that dry runs
// need no care and any replica answers alike. What the sidecar is told goes into its environment, in which no secret stands:
// those are named, as Secrets in the namespace of the pod, and only the sidecar's own volumes reach them.
//
// The certificate comes from files, or is kept by the webhook itself in a Secret (SelfSigned).
package inject
