{{/* Names and labels. Everything that another object refers to by name is named here, once. */}}

{{- define "ml.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 40 characters: the longest suffix and the hashes of ReplicaSets still fit into 63. */}}
{{- define "ml.fullname" -}}
{{- $name := include "ml.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "ml.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ml.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "ml.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "ml.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: ml-inference-api
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of an object: dict "root" $ "name" "..." ["component" "..."] ["labels" {}] ["annotations" {}] */}}
{{- define "ml.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "ml.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component | default "server" }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ml.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "ml.fullname" .) }}
{{- end }}

{{- define "ml.isRollout" -}}
{{- if ne .Values.delivery.mode "rolling" }}true{{ end -}}
{{- end }}

{{/* Whether a gateway divides the traffic of a canary. */}}
{{- define "ml.isRouted" -}}
{{- if and (eq .Values.delivery.mode "canary") (eq .Values.delivery.canary.trafficRouting "gatewayAPI") }}true{{ end -}}
{{- end }}

{{/* What runs the pods, for autoscalers. */}}
{{- define "ml.workloadReference" -}}
{{- if include "ml.isRollout" . -}}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
{{- else -}}
apiVersion: apps/v1
kind: Deployment
{{- end }}
name: {{ include "ml.fullname" . }}
{{- end }}

{{- define "ml.image" -}}
{{- $tag := .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (ternary .Values.gpu.tagSuffix "" .Values.gpu.enabled)) -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ $tag }}
{{- end -}}
{{- end }}

{{/* Where the pods of an update are told apart: the label that a Deployment or a Rollout gives its ReplicaSets. */}}
{{- define "ml.revisionLabel" -}}
{{ ternary "rollouts-pod-template-hash" "pod-template-hash" (eq (include "ml.isRollout" .) "true") }}
{{- end }}

{{- define "ml.secretsFolder" -}}
{{ ternary "/vault/secrets" "/run/ml-inference-api/secrets" (eq .Values.secrets.mode "vault") }}
{{- end }}

{{/* Names in the Secret that the server reads as files, as a JSON object of setting to name. */}}
{{- define "ml.secretFiles" -}}
{{- $files := dict -}}
{{- if ne .Values.secrets.mode "none" -}}
{{- with .Values.secrets.apiKeys }}{{ $_ := set $files "ML_INFERENCE_AUTH__KEYS_FILE" . }}{{ end -}}
{{- with .Values.secrets.adminToken }}{{ $_ := set $files "ML_INFERENCE_ADMIN__TOKEN_FILE" . }}{{ end -}}
{{- end -}}
{{ toJson $files }}
{{- end }}

{{/* The names of those files, each once, as a JSON list. */}}
{{- define "ml.secretNames" -}}
{{ include "ml.secretFiles" . | fromJson | values | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Whether a Prometheus without operator is to find the pods, by their annotations and on the public port. */}}
{{- define "ml.isFoundByAnnotations" -}}
{{- if and .Values.metrics.annotations (not .Values.metrics.monitor.enabled) }}true{{ end -}}
{{- end }}
