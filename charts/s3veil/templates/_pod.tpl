{{/* The container, of gateway and sidecar. */}}
{{- define "s3veil.container" -}}
name: s3veil
image: {{ include "s3veil.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/s3veil/s3veil.yaml]
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- if ne .Values.mode "sidecar" }}
  - {name: s3, containerPort: 8080}
  {{- end }}
  - {name: admin, containerPort: 8081}
startupProbe:
  httpGet: {path: /healthz, port: 8081}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: 8081}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: 8081}
  periodSeconds: 5
  timeoutSeconds: 5
{{- if and (ne .Values.mode "sidecar") (gt (int .Values.preStopSeconds) 0) }}
lifecycle:
  preStop:
    sleep: {seconds: {{ int .Values.preStopSeconds }}}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  seccompProfile: {type: RuntimeDefault}
volumeMounts:
  - {name: s3veil-config, mountPath: /etc/s3veil, readOnly: true}
  {{- range .Values.secrets }}
  - {name: s3veil-secret-{{ .name }}, mountPath: /run/s3veil/secrets/{{ .name }}, readOnly: true}
  {{- end }}
  {{- if include "s3veil.tlsSecret" . }}
  - {name: s3veil-tls, mountPath: /run/s3veil/tls, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* s3veil.volumes: the volumes of the container, of gateway and sidecar. 0440 with an fsGroup of the pod: s3veil refuses secrets that all can read. */}}
{{- define "s3veil.volumes" -}}
{{- $name := include "s3veil.fullname" . -}}
- name: s3veil-config
  secret: {secretName: {{ $name }}-config, defaultMode: 0440}
{{- range .Values.secrets }}
- name: s3veil-secret-{{ .name }}
  secret: {secretName: {{ default (printf "%s-%s" $name .name) .existingSecret }}, defaultMode: 0440}
{{- end }}
{{- with include "s3veil.tlsSecret" . }}
- name: s3veil-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
s3veil.sidecar: an entry of initContainers of another chart that has this one as a dependency with `mode: sidecar`:

  initContainers:
    {{- include "s3veil.sidecar" .Subcharts.s3veil | nindent 4 }}

A native sidecar: ready before the application starts, ended after it. Its S3 endpoint is 127.0.0.1:8080 of the pod.
*/}}
{{- define "s3veil.sidecar" -}}
{{- if ne .Values.mode "sidecar" -}}{{- fail "s3veil.sidecar: set mode: sidecar in the values of s3veil" -}}{{- end -}}
- restartPolicy: Always
  {{- include "s3veil.container" . | nindent 2 }}
{{- end -}}
