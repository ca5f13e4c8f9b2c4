{{/* Refuses values that contradict each other or would do nothing; every message names the value. */}}
{{- define "s3veil.check" -}}
{{- if eq .Values.mode "injector" -}}
{{- include "s3veil.check.injector" . -}}
{{- else -}}
{{- if .Values.injector.profiles -}}{{- fail "injector.profiles: need mode: injector" -}}{{- end -}}
{{- include "s3veil.check.config" . -}}
{{- include "s3veil.check.tls" . -}}
{{- if eq .Values.mode "sidecar" -}}{{- include "s3veil.check.sidecar" . -}}{{- else -}}{{- include "s3veil.check.gateway" . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "s3veil.check.config" -}}
{{- $v := .Values -}}
{{- $c := $v.config -}}
{{- range list "listen" "admin" -}}
{{- if hasKey $c . -}}{{- fail (printf "config.%s: the chart sets it" .) -}}{{- end -}}
{{- end -}}
{{- if hasKey (default dict $c.limits) "drain" -}}{{- fail "config.limits.drain: use drainSeconds, which the grace period of the pod follows" -}}{{- end -}}
{{- if not (or $c.upstream $c.upstreams) -}}{{- fail "config.upstream: missing; where is the store?" -}}{{- end -}}
{{- if not (default dict $c.kms).keys -}}{{- fail "config.kms.keys: missing; without a key nothing can be encrypted (docs/KMS.md)" -}}{{- end -}}
{{- if not $c.clients -}}{{- fail "config.clients: missing; who may send requests?" -}}{{- end -}}
{{- include "s3veil.check.secrets" . -}}
{{- include "s3veil.check.files" . -}}
{{- end -}}

{{- define "s3veil.check.secrets" -}}
{{- $seen := dict -}}
{{- range .Values.secrets -}}
{{- if hasKey $seen .name -}}{{- fail (printf "secrets: the name %q stands twice" .name) -}}{{- end -}}
{{- $_ := set $seen .name true -}}
{{- if and .existingSecret .files -}}{{- fail (printf "secrets %q: existingSecret and files exclude each other" .name) -}}{{- end -}}
{{- if not (or .existingSecret .files) -}}{{- fail (printf "secrets %q: needs existingSecret or files" .name) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Key files must lie where a mount is that outlives the pod. */}}
{{- define "s3veil.check.files" -}}
{{- $v := .Values -}}
{{- $volatile := dict -}}
{{- range $v.extraVolumes -}}{{- if hasKey . "emptyDir" -}}{{- $_ := set $volatile .name true -}}{{- end -}}{{- end -}}
{{- range $v.config.kms.keys -}}
{{- if eq (default "" .provider) "local" -}}
{{- $key := . -}}
{{- $file := default "" .file -}}
{{- $found := false -}}
{{- range $v.secrets -}}
{{- if hasPrefix (printf "/run/s3veil/secrets/%s/" .name) $file -}}
{{- $found = true -}}
{{- if and .files (not (hasKey .files (base $file))) -}}{{- fail (printf "config.kms.keys %q: secrets %q has no file %q" $key.id .name (base $file)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $v.extraVolumeMounts -}}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $file -}}
{{- $found = true -}}
{{- if hasKey $volatile .name -}}{{- fail (printf "config.kms.keys %q: %s lies in an emptyDir: every pod would have a key of its own, lost with it" $key.id $file) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if not $found -}}{{- fail (printf "config.kms.keys %q: nothing is mounted at %q; name a file below /run/s3veil/secrets/NAME/ and NAME in secrets" .id $file) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "s3veil.check.tls" -}}
{{- $tls := .Values.tls -}}
{{- if and $tls.certManager.enabled $tls.existingSecret -}}{{- fail "tls: existingSecret and certManager exclude each other" -}}{{- end -}}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) -}}{{- fail "tls.certManager.issuerRef.name: missing" -}}{{- end -}}
{{- $own := default dict .Values.config.tls -}}
{{- if include "s3veil.tlsSecret" . -}}
{{- if or $own.cert_file $own.key_file -}}{{- fail "config.tls: tls.existingSecret and tls.certManager set cert_file and key_file" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What holds for every Deployment. */}}
{{- define "s3veil.check.pods" -}}
{{- $v := .Values -}}
{{- include "s3veil.check.selector" . -}}
{{- $pdb := $v.podDisruptionBudget -}}
{{- if $pdb.enabled -}}
{{- $min := not (empty $pdb.minAvailable) -}}
{{- $max := not (empty $pdb.maxUnavailable) -}}
{{- if eq $min $max -}}{{- fail "podDisruptionBudget: exactly one of minAvailable and maxUnavailable (the other \"\")" -}}{{- end -}}
{{- $floor := int (ternary $v.autoscaling.minReplicas $v.replicas $v.autoscaling.enabled) -}}
{{- if and $min (not (kindIs "string" $pdb.minAvailable)) (ge (int $pdb.minAvailable) $floor) -}}{{- fail (printf "podDisruptionBudget.minAvailable: with %d replicas no node could ever be drained" $floor) -}}{{- end -}}
{{- end -}}
{{- if and $v.serviceAccount.annotations (not $v.serviceAccount.create) -}}{{- fail "serviceAccount.annotations: need create: true" -}}{{- end -}}
{{- end -}}

{{- define "s3veil.check.gateway" -}}
{{- $v := .Values -}}
{{- if $v.config.forward -}}{{- fail "config.forward: the forward port serves the applications of its own pod; use mode: sidecar" -}}{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}{{- fail "autoscaling: minReplicas is above maxReplicas" -}}{{- end -}}
{{- $scale := $v.autoscaling -}}
{{- if and $scale.enabled (not (or $scale.targetCPUUtilizationPercentage $scale.targetRequestsPerSecond)) -}}{{- fail "autoscaling: needs targetCPUUtilizationPercentage or targetRequestsPerSecond" -}}{{- end -}}
{{- if and $scale.enabled $scale.targetCPUUtilizationPercentage (not (dig "requests" "cpu" "" $v.resources)) -}}{{- fail "autoscaling: needs resources.requests.cpu, which utilization is a share of" -}}{{- end -}}
{{- include "s3veil.check.pods" . -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}{{- fail "ingress.hosts: missing" -}}{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}{{- fail "httpRoute.parentRefs: missing" -}}{{- end -}}
{{- range $v.config.kms.keys -}}
{{- if and .kubernetes (not .kubernetes.token_file) (not $v.serviceAccount.automountToken) -}}{{- fail (printf "config.kms.keys %q: the Kubernetes login needs serviceAccount.automountToken: true or a token_file" .id) -}}{{- end -}}
{{- end -}}
{{- $monitor := $v.metrics.serviceMonitor -}}
{{- if $monitor.enabled -}}
{{- if and $v.networkPolicy.enabled (not $v.networkPolicy.monitoring) -}}{{- fail "networkPolicy.monitoring: missing; it keeps the ServiceMonitor's Prometheus out" -}}{{- end -}}
{{- if and $v.config.admin_token_file (not $monitor.tokenSecret.name) -}}{{- fail "metrics.serviceMonitor.tokenSecret: missing; config.admin_token_file demands a token" -}}{{- end -}}
{{- if and $monitor.tokenSecret.name (not $v.config.admin_token_file) -}}{{- fail "metrics.serviceMonitor.tokenSecret: nothing asks for a token without config.admin_token_file" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* The selector of a Deployment cannot be changed: said before Helm has changed anything else. */}}
{{- define "s3veil.check.selector" -}}
{{- $name := include "s3veil.fullname" . -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace $name -}}
{{- if and $live (eq .Release.Name (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $live)) -}}
{{- if ne (toJson $live.spec.selector.matchLabels) (include "s3veil.selector" . | fromYaml | toJson) -}}
{{- fail (printf "nameOverride: Kubernetes cannot change the selector of Deployment %s; change fullnameOverride too, or uninstall first" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "s3veil.check.sidecar" -}}
{{- $v := .Values -}}
{{- range $name := list "podAnnotations" "podLabels" "nodeSelector" "tolerations" "affinity" "priorityClassName" "topologySpreadConstraints" -}}
{{- if index $v $name -}}{{- fail (printf "%s: not with mode: sidecar; it belongs to the chart of the application" $name) -}}{{- end -}}
{{- end -}}
{{- range $name, $on := dict "serviceAccount.annotations" $v.serviceAccount.annotations "serviceAccount.automountToken" $v.serviceAccount.automountToken "image.pullSecrets" $v.image.pullSecrets "service.annotations" $v.service.annotations "autoscaling" $v.autoscaling.enabled "ingress" $v.ingress.enabled "httpRoute" $v.httpRoute.enabled "networkPolicy" $v.networkPolicy.enabled "metrics.serviceMonitor" $v.metrics.serviceMonitor.enabled "metrics.prometheusRule" $v.metrics.prometheusRule.enabled "metrics.dashboard" $v.metrics.dashboard.enabled "tls.certManager" $v.tls.certManager.enabled -}}
{{- if $on -}}{{- fail (printf "%s: not with mode: sidecar; it belongs to the chart of the application" $name) -}}{{- end -}}
{{- end -}}
{{- end -}}
