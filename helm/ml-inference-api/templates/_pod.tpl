{{/* The pod, the same under a Deployment and a Rollout. */}}

{{- define "ml.gpuResource" -}}
{{- if .Values.gpu.migProfile -}}
nvidia.com/mig-{{ .Values.gpu.migProfile }}
{{- else -}}
{{ ternary "nvidia.com/gpu.shared" "nvidia.com/gpu" .Values.gpu.timeSlicing }}
{{- end -}}
{{- end }}

{{- define "ml.resources" -}}
{{- if not .Values.gpu.enabled -}}
{{ toYaml .Values.resources }}
{{- else if eq .Values.gpu.mode "dra" -}}
{{ toYaml .Values.gpu.resources }}
claims:
  - name: gpu
{{- else -}}
{{- $device := dict (include "ml.gpuResource" .) (.Values.gpu.count | toString) -}}
requests:
  {{- toYaml (merge (dict) $device .Values.gpu.resources.requests) | nindent 2 }}
limits:
  {{- toYaml (merge (dict) $device .Values.gpu.resources.limits) | nindent 2 }}
{{- end -}}
{{- end }}

{{- define "ml.probe" -}}
httpGet: {path: {{ .path }}, port: admin, scheme: HTTP}
{{ toYaml .values }}
{{- end }}

{{- define "ml.startup" -}}
{{- $probe := .Values.probes.startup -}}
{{- if .Values.gpu.enabled -}}
{{- $probe = merge (dict "failureThreshold" (divf .Values.gpu.startupSeconds $probe.periodSeconds | ceil | int)) $probe -}}
{{- end -}}
{{ include "ml.probe" (dict "path" "/health/startup" "values" $probe) }}
{{- end }}

{{/* Preferred, never demanded: a cluster of one zone or node still schedules everything. The label keeps an update's old and new pods apart. */}}
{{- define "ml.spread" -}}
{{- if .Values.topologySpreadConstraints -}}
{{ toYaml .Values.topologySpreadConstraints }}
{{- else -}}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "ml.selectorLabels" $ | nindent 6 }}
  matchLabelKeys: [{{ include "ml.revisionLabel" $ }}]
{{- end -}}
{{- end -}}
{{- end }}

{{- define "ml.podAnnotations" -}}
{{- $all := dict "checksum/config" (include "ml.configData" . | sha256sum) "kubectl.kubernetes.io/default-container" "ml-inference-api" -}}
{{- if include "ml.isFoundByAnnotations" . -}}
{{- $_ := set $all "prometheus.io/scrape" "true" -}}
{{- $_ := set $all "prometheus.io/port" (toString .Values.ports.http) -}}
{{- $_ := set $all "prometheus.io/path" "/metrics" -}}
{{- if .Values.tls.secretName }}{{ $_ := set $all "prometheus.io/scheme" "https" }}{{ end -}}
{{- end -}}
{{- if eq .Values.secrets.mode "vault" -}}
{{- $all = merge $all (include "ml.vaultAnnotations" . | fromYaml) -}}
{{- end -}}
{{ toYaml (merge (dict) .Values.podAnnotations $all) }}
{{- end }}

{{/* Vault's agent writes each file and keeps it current; its containers pass the restricted standard as ours do. */}}
{{- define "ml.vaultAnnotations" -}}
vault.hashicorp.com/agent-inject: "true"
vault.hashicorp.com/role: {{ .Values.secrets.vault.role | quote }}
vault.hashicorp.com/agent-init-first: "true"
vault.hashicorp.com/agent-inject-containers: ml-inference-api
vault.hashicorp.com/agent-run-as-user: {{ .Values.podSecurityContext.runAsUser | toString | quote }}
vault.hashicorp.com/agent-run-as-group: {{ .Values.podSecurityContext.runAsGroup | toString | quote }}
{{- range $file := include "ml.secretNames" . | fromJsonArray }}
vault.hashicorp.com/agent-inject-secret-{{ $file }}: {{ $.Values.secrets.vault.path | quote }}
vault.hashicorp.com/agent-inject-template-{{ $file }}: |
  {{ printf "{{- with secret %q -}}{{ index .Data.data %q }}{{- end -}}" $.Values.secrets.vault.path $file }}
{{- end }}
{{- with .Values.secrets.vault.annotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ml.container" -}}
name: ml-inference-api
image: {{ include "ml.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve{{ if .Values.configFile }}, --config, /etc/ml-inference-api/config.toml{{ end }}]
ports:
  {{- range $name, $port := .Values.ports }}
  - {name: {{ $name }}, containerPort: {{ $port }}, protocol: TCP}
  {{- end }}
env:
  {{- if .Values.model.name }}
  - name: MODEL_NAME
    valueFrom:
      configMapKeyRef: {name: {{ include "ml.configMapName" . }}, key: model_name}
  {{- end }}
  {{- range $name, $value := include "ml.variables" . | fromJson }}
  - {name: {{ $name }}, value: {{ $value | quote }}}
  {{- end }}
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: NODE_NAME
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  - name: OTEL_RESOURCE_ATTRIBUTES
    value: k8s.namespace.name={{ .Release.Namespace }},k8s.pod.name=$(POD_NAME),k8s.node.name=$(NODE_NAME),k8s.container.name=ml-inference-api
  {{- with .Values.tracing.headersSecret }}
  - name: OTEL_EXPORTER_OTLP_HEADERS
    valueFrom:
      secretKeyRef: {{- toYaml . | nindent 8 }}
  {{- end }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- include "ml.resources" . | nindent 2 }}
startupProbe:
  {{- include "ml.startup" . | nindent 2 }}
readinessProbe:
  {{- include "ml.probe" (dict "path" "/health/ready" "values" .Values.probes.readiness) | nindent 2 }}
livenessProbe:
  {{- include "ml.probe" (dict "path" "/health/live" "values" .Values.probes.liveness) | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  {{- include "ml.volumeMounts" . | nindent 2 }}
{{- end }}

{{- define "ml.podSpec" -}}
serviceAccountName: {{ include "ml.serviceAccountName" . }}
automountServiceAccountToken: {{ .Values.serviceAccount.automount }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "ml.gracePeriod" . }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if and .Values.gpu.enabled .Values.gpu.runtimeClassName }}
runtimeClassName: {{ .Values.gpu.runtimeClassName }}
{{- end }}
{{- with merge (dict) .Values.nodeSelector (ternary .Values.gpu.nodeSelector (dict) .Values.gpu.enabled) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .Values.tolerations (ternary .Values.gpu.tolerations (list) .Values.gpu.enabled) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- include "ml.spread" . | trim | nindent 2 }}
{{- if and .Values.gpu.enabled (eq .Values.gpu.mode "dra") }}
resourceClaims:
  - {name: gpu, resourceClaimTemplateName: {{ include "ml.fullname" . }}-gpu}
{{- end }}
{{- if eq .Values.models.source "init" }}
initContainers:
  - name: fetch-models
    image: {{ .Values.models.init.image }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- with .Values.models.init.command }}
    command: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.models.init.args }}
    args: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.models.init.env }}
    env: {{- toYaml . | nindent 6 }}
    {{- end }}
    resources: {{- toYaml .Values.models.init.resources | nindent 6 }}
    securityContext: {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
      - {name: models, mountPath: {{ .Values.models.mountPath }}}
      - {name: tmp, mountPath: /tmp}
{{- end }}
containers:
  - {{ include "ml.container" . | nindent 4 | trim }}
volumes:
  {{- include "ml.volumes" . | nindent 2 }}
{{- end }}

{{- define "ml.podTemplate" -}}
metadata:
  labels:
    {{- include "ml.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
    app.kubernetes.io/part-of: ml-inference-api
    {{- with merge (dict) .Values.podLabels .Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "ml.podAnnotations" . | nindent 4 }}
spec:
  {{- include "ml.podSpec" . | nindent 2 }}
{{- end }}
