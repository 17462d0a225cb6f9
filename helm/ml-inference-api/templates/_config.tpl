{{/* The server's configuration: variables of the pod, the ConfigMap and what is computed from both. */}}

{{/* A value as the environment takes it: lists by comma, whole numbers without a point or an exponent. */}}
{{- define "ml.text" -}}
{{- if kindIs "slice" . -}}
{{- $texts := list -}}
{{- range . }}{{ $texts = append $texts (include "ml.text" .) }}{{ end -}}
{{ join "," $texts }}
{{- else if kindIs "float64" . -}}
{{ eq . (floor .) | ternary (int64 . | toString) (toString .) }}
{{- else -}}
{{ toString . }}
{{- end -}}
{{- end }}

{{/* Variables of a table: dict "prefix" "ML_INFERENCE_" "table" {} "root" {the variables, filled here} */}}
{{- define "ml.variablesOf" -}}
{{- range $key, $value := .table -}}
{{- $name := printf "%s%s" $.prefix (upper $key) -}}
{{- if kindIs "map" $value -}}
{{- include "ml.variablesOf" (dict "prefix" (printf "%s__" $name) "table" $value "root" $.root) -}}
{{- else if not (kindIs "invalid" $value) -}}
{{- $_ := set $.root $name (include "ml.text" $value) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* All variables that are texts, as a JSON object. What the chart owns is set last. */}}
{{- define "ml.variables" -}}
{{- $all := dict -}}
{{- include "ml.variablesOf" (dict "prefix" "ML_INFERENCE_" "table" .Values.config "root" $all) -}}
{{- $host := .Values.listenAddress | contains ":" | ternary (printf "[%s]" .Values.listenAddress) .Values.listenAddress -}}
{{- range $name, $port := .Values.ports -}}
{{- $_ := set $all (printf "ML_INFERENCE_%s__ADDR" (upper $name)) (printf "%s:%d" $host (int $port)) -}}
{{- end -}}
{{- if not (hasKey $all "ML_INFERENCE_MODELS__PATHS") }}{{ $_ := set $all "ML_INFERENCE_MODELS__PATHS" .Values.models.mountPath }}{{ end -}}
{{- if ne .Values.models.cache.type "none" }}{{ $_ := set $all "ML_INFERENCE_MODELS__CACHE_DIR" "/var/cache/ml-inference-api" }}{{ end -}}
{{- if and .Values.gpu.enabled (not (hasKey $all "ML_INFERENCE_DEFAULTS__EXECUTION__PROVIDERS")) -}}
{{- $_ := set $all "ML_INFERENCE_DEFAULTS__EXECUTION__PROVIDERS" (join "," .Values.gpu.providers) -}}
{{- end -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $all "ML_INFERENCE_TLS__CERT_FILE" "/run/ml-inference-api/tls/tls.crt" -}}
{{- $_ := set $all "ML_INFERENCE_TLS__KEY_FILE" "/run/ml-inference-api/tls/tls.key" -}}
{{- if .Values.tls.clientCa }}{{ $_ := set $all "ML_INFERENCE_TLS__CLIENT_CA_FILE" "/run/ml-inference-api/tls/ca.crt" }}{{ end -}}
{{- end -}}
{{- range $name, $file := include "ml.secretFiles" . | fromJson -}}
{{- $_ := set $all $name (printf "%s/%s" (include "ml.secretsFolder" $) $file) -}}
{{- end -}}
{{- $_ := set $all "OTEL_TRACES_SAMPLER" .Values.tracing.sampler -}}
{{- $_ := set $all "OTEL_TRACES_SAMPLER_ARG" .Values.tracing.samplerArg -}}
{{- with .Values.tracing.endpoint -}}
{{- $_ := set $all "OTEL_EXPORTER_OTLP_ENDPOINT" . -}}
{{- $_ := set $all "OTEL_EXPORTER_OTLP_PROTOCOL" $.Values.tracing.protocol -}}
{{- end -}}
{{- $_ := set $all "ORT_DISABLE_TELEMETRY" "1" -}}
{{ toJson $all }}
{{- end }}

{{/* A duration such as `1m`, `0.5s` or `250ms` in seconds. */}}
{{- define "ml.seconds" -}}
{{- $text := toString . | nospace -}}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(us|ms|s|m|h)$" $text) }}{{ fail (printf "%q is no duration: expected a number and a unit out of us, ms, s, m, h, such as 10s" .) }}{{ end -}}
{{- $number := regexFind "^[0-9.]+" $text | float64 -}}
{{- $factor := get (dict "us" 0.000001 "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) (regexFind "[a-z]+$" $text) -}}
{{ mulf $number $factor }}
{{- end }}

{{/* A duration of the configuration in seconds: list $ "section" "key" "default" */}}
{{- define "ml.configSeconds" -}}
{{- $root := index . 0 -}}
{{ dig (index . 1) (index . 2) (index . 3) $root.Values.config | include "ml.seconds" }}
{{- end }}

{{/* What the process itself may take to end, and five seconds: it ends by itself, the kubelet never ends it. */}}
{{- define "ml.gracePeriod" -}}
{{- $delay := include "ml.configSeconds" (list . "drain" "delay" "5s") | float64 -}}
{{- $timeout := include "ml.configSeconds" (list . "drain" "timeout" "30s") | float64 -}}
{{- $flush := include "ml.configSeconds" (list . "telemetry" "flush_timeout" "2s") | float64 -}}
{{ addf $delay $timeout $flush 5 | ceil | int }}
{{- end }}

{{/* The data of the ConfigMap. */}}
{{- define "ml.configData" -}}
model_name: {{ .Values.model.name | quote }}
{{- with .Values.configFile }}
config.toml: |
  {{- . | nindent 2 }}
{{- end }}
{{- range $model, $text := .Values.models.manifests }}
{{ $model }}.model.toml: |
  {{- $text | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ml.configMapName" -}}
{{ .Values.model.configMapName }}{{ if include "ml.isRollout" . }}-{{ include "ml.configData" . | sha256sum | trunc 10 }}{{ end }}
{{- end }}
