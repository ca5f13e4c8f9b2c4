{{- define "s3veil.webhookName" -}}
{{ include "s3veil.fullname" . }}-{{ .Release.Namespace }}
{{- end -}}

{{/* The values of one profile in the form that the templates of the container know: dict "root" "profile". */}}
{{- define "s3veil.profileValues" -}}
{{- $v := deepCopy (merge (dict) .root.Values) -}}
{{- $p := .profile -}}
{{- $_ := set $v "config" (default dict $p.config) -}}
{{- $_ := set $v "secrets" (default list $p.secrets) -}}
{{- $_ := set $v "profilePorts" (default dict $p.ports) -}}
{{- range list "resources" "env" "extraVolumes" "extraVolumeMounts" -}}
{{- if hasKey $p . -}}{{- $_ := set $v . (index $p .) -}}{{- end -}}
{{- end -}}
{{- toYaml $v -}}
{{- end -}}

{{/* inject.yaml. */}}
{{- define "s3veil.inject" -}}
{{- $name := include "s3veil.fullname" . -}}
{{- $config := dict "listen" ":8443" "admin" ":8081" "drain_delay" (printf "%ds" (int .Values.preStopSeconds)) "default_profile" .Values.injector.defaultProfile "log" (dict "level" .Values.injector.logLevel "format" "json") -}}
{{- if include "s3veil.tlsSecret" . -}}
{{- $_ := set $config "tls" (dict "cert_file" "/run/s3veil/tls/tls.crt" "key_file" "/run/s3veil/tls/tls.key") -}}
{{- else -}}
{{- $_ := set $config "self_signed" (dict "namespace" .Release.Namespace "secret" (printf "%s-webhook-tls" $name) "webhook" (include "s3veil.webhookName" .) "names" (list (printf "%s.%s.svc" $name .Release.Namespace))) -}}
{{- end -}}
{{- $profiles := list -}}
{{- range $p := .Values.injector.profiles -}}
{{- $context := dict "Values" (include "s3veil.profileValues" (dict "root" $ "profile" $p) | fromYaml) "Chart" $.Chart "Release" $.Release -}}
{{- $limits := merge (dict "drain" (printf "%ds" (int $.Values.drainSeconds))) (default dict $p.config.limits) (dict "drain_delay" "0s") -}}
{{- $out := dict "name" $p.name "namespaces" $p.namespaces "config" (merge (dict "limits" $limits) (deepCopy $p.config)) "container" (include "s3veil.container" $context | fromYaml) "volumes" (include "s3veil.volumes" $context | fromYamlArray) -}}
{{- range $key, $value := dict "mode" $p.mode "ports" $p.ports "image_pull_secrets" $p.imagePullSecrets "no_proxy" $p.noProxy "allow" $p.allow -}}
{{- if $value -}}{{- $_ := set $out $key $value -}}{{- end -}}
{{- end -}}
{{- if $p.ca -}}{{- $_ := set $out "ca_file" (printf "/etc/s3veil-inject/ca-%s.pem" $p.name) -}}{{- end -}}
{{- $profiles = append $profiles $out -}}
{{- end -}}
{{- $_ := set $config "profiles" $profiles -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The data of the ConfigMap. */}}
{{- define "s3veil.injectFiles" -}}
{{- $files := dict "inject.yaml" (include "s3veil.inject" .) -}}
{{- range .Values.injector.profiles -}}
{{- if .ca -}}{{- $_ := set $files (printf "ca-%s.pem" .name) .ca -}}{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{- define "s3veil.check.injector" -}}
{{- $v := .Values -}}
{{- range $name := list "config" "secrets" -}}
{{- if index $v $name -}}{{- fail (printf "%s: with mode: injector each profile has its own, injector.profiles[].%s" $name $name) -}}{{- end -}}
{{- end -}}
{{- range $name, $on := dict "autoscaling" $v.autoscaling.enabled "ingress" $v.ingress.enabled "httpRoute" $v.httpRoute.enabled "service.annotations" $v.service.annotations "metrics.serviceMonitor.tokenSecret" $v.metrics.serviceMonitor.tokenSecret.name -}}
{{- if $on -}}{{- fail (printf "%s: not with mode: injector" $name) -}}{{- end -}}
{{- end -}}
{{- if $v.serviceAccount.automountToken -}}{{- fail "serviceAccount.automountToken: with mode: injector the chart decides" -}}{{- end -}}
{{- if not $v.injector.profiles -}}{{- fail "injector.profiles: missing; what should be put into pods?" -}}{{- end -}}
{{- $seen := dict -}}
{{- range $v.injector.profiles -}}
{{- if hasKey $seen .name -}}{{- fail (printf "injector.profiles: the name %q stands twice" .name) -}}{{- end -}}
{{- $_ := set $seen .name true -}}
{{- include "s3veil.check.profile" (dict "root" $ "profile" .) -}}
{{- end -}}
{{- if and $v.injector.defaultProfile (not (hasKey $seen $v.injector.defaultProfile)) -}}{{- fail (printf "injector.defaultProfile: there is no profile %q" $v.injector.defaultProfile) -}}{{- end -}}
{{- include "s3veil.check.tls" . -}}
{{- if and $v.tls.existingSecret (not $v.injector.caBundle) -}}{{- fail "injector.caBundle: missing; it says which authority has signed tls.existingSecret" -}}{{- end -}}
{{- if and $v.injector.caBundle (not $v.tls.existingSecret) -}}{{- fail "injector.caBundle: only with tls.existingSecret; otherwise it is filled in" -}}{{- end -}}
{{- include "s3veil.check.pods" . -}}
{{- if and $v.metrics.serviceMonitor.enabled $v.networkPolicy.enabled (not $v.networkPolicy.monitoring) -}}{{- fail "networkPolicy.monitoring: missing; it keeps the ServiceMonitor's Prometheus out" -}}{{- end -}}
{{- end -}}

{{/* dict "root" "profile": the rules for the configuration of a gateway, and those that a sidecar of somebody else's pod adds. */}}
{{- define "s3veil.check.profile" -}}
{{- $p := .profile -}}
{{- range default list $p.secrets -}}
{{- if .files -}}{{- fail (printf "injector.profiles %q: secrets %q: only existingSecret, a Secret in the namespace of the pod" $p.name .name) -}}{{- end -}}
{{- end -}}
{{- range $key := list "listen" "ca_file" -}}
{{- if hasKey (default dict $p.config.forward) $key -}}{{- fail (printf "injector.profiles %q: config.forward.%s: the injector sets it" $p.name $key) -}}{{- end -}}
{{- end -}}
{{- range concat (default list $p.extraVolumes) (default list (ternary list .root.Values.extraVolumes (hasKey $p "extraVolumes"))) -}}
{{- if not (hasPrefix "s3veil-" .name) -}}{{- fail (printf "injector.profiles %q: extraVolumes %q: must begin with s3veil-, so that no volume of a pod has that name" $p.name .name) -}}{{- end -}}
{{- end -}}
{{- include "s3veil.check.config" (dict "Values" (include "s3veil.profileValues" . | fromYaml) "Chart" .root.Chart "Release" .root.Release) -}}
{{- end -}}
