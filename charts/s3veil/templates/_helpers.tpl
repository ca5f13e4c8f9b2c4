{{- define "s3veil.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "s3veil.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "s3veil.labels" -}}
{{ include "s3veil.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "s3veil.metadata" -}}
name: {{ include "s3veil.fullname" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "s3veil.labels" . | nindent 2 }}
{{- end -}}

{{- define "s3veil.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "s3veil.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "s3veil.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{/* The Secret that the certificate comes from, empty without TLS. */}}
{{- define "s3veil.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "s3veil.fullname" . }}-tls
{{- else -}}
{{ .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}

{{/* s3veil.yaml: the values of `config` and what the chart sets. */}}
{{- define "s3veil.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $sidecar := eq .Values.mode "sidecar" -}}
{{- $_ := set $config "listen" (ternary "127.0.0.1:8080" ":8080" $sidecar) -}}
{{- $_ := set $config "admin" ":8081" -}}
{{- $limits := default dict $config.limits -}}
{{- $_ := set $limits "drain" (printf "%ds" (int .Values.drainSeconds)) -}}
{{- if and $sidecar (not (hasKey $limits "drain_delay")) -}}{{- $_ := set $limits "drain_delay" "0s" -}}{{- end -}}{{/* the application has ended, no balancer needs to notice */}}
{{- $_ := set $config "limits" $limits -}}
{{- if include "s3veil.tlsSecret" . -}}
{{- $tls := default dict $config.tls -}}
{{- $_ := set $tls "cert_file" "/run/s3veil/tls/tls.crt" -}}
{{- $_ := set $tls "key_file" "/run/s3veil/tls/tls.key" -}}
{{- $_ := set $config "tls" $tls -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Changes with everything the chart writes into Secrets, so that pods are replaced. */}}
{{- define "s3veil.checksum" -}}
{{- printf "%s\n%s" (include "s3veil.config" .) (toJson .Values.secrets) | sha256sum -}}
{{- end -}}
