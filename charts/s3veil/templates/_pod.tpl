{{/* Where the pods of a Deployment run, and with which secrets their image is pulled. */}}
{{- define "s3veil.scheduling" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- if .Values.topologySpreadConstraints }}
  {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "s3veil.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* Group 0 where the pod belongs to somebody else: it may have no fsGroup, and Secrets belong to group 0 then. */}}
{{- define "s3veil.securityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: {{ . }}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The container, of gateway and sidecar; that of a profile of the injector, which adds the arguments and the configuration. */}}
{{- define "s3veil.container" -}}
name: s3veil
image: {{ include "s3veil.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- $injected := eq .Values.mode "injector" }}
{{- $admin := ternary (int (dig "admin" 15481 (default dict .Values.profilePorts))) 8081 $injected }}
{{- if not $injected }}
args: [serve, --config, /etc/s3veil/s3veil.yaml]
{{- end }}
{{- with .Values.env }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- if eq .Values.mode "gateway" }}
  - {name: s3, containerPort: 8080}
  {{- end }}
  - {name: {{ ternary "s3veil-admin" "admin" $injected }}, containerPort: {{ $admin }}}
startupProbe:
  httpGet: {path: /healthz, port: {{ $admin }}}
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /healthz, port: {{ $admin }}}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: {{ $admin }}}
  periodSeconds: 5
  timeoutSeconds: 5
{{- if and (eq .Values.mode "gateway") (gt (int .Values.preStopSeconds) 0) }}
lifecycle:
  preStop:
    sleep: {seconds: {{ int .Values.preStopSeconds }}}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "s3veil.securityContext" (ternary 0 65532 $injected) | nindent 2 }}
volumeMounts:
  {{- if not $injected }}
  - {name: s3veil-config, mountPath: /etc/s3veil, readOnly: true}
  {{- end }}
  {{- range .Values.secrets }}
  - {name: s3veil-secret-{{ .name }}, mountPath: /run/s3veil/secrets/{{ .name }}, readOnly: true}
  {{- end }}
  {{- if and (not $injected) (include "s3veil.tlsSecret" .) }}
  - {name: s3veil-tls, mountPath: /run/s3veil/tls, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* s3veil.volumes: the volumes of the container, of gateway, sidecar and profile. 0440 with an fsGroup of the pod: s3veil refuses secrets that all can read. */}}
{{- define "s3veil.volumes" -}}
{{- $name := include "s3veil.fullname" . -}}
{{- $injected := eq .Values.mode "injector" -}}
{{- if not $injected }}
- name: s3veil-config
  secret: {secretName: {{ $name }}-config, defaultMode: 0440}
{{- end }}
{{- range .Values.secrets }}
- name: s3veil-secret-{{ .name }}
  secret: {secretName: {{ default (printf "%s-%s" $name .name) .existingSecret }}, defaultMode: 0440}
{{- end }}
{{- if not $injected }}
{{- with include "s3veil.tlsSecret" . }}
- name: s3veil-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
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
