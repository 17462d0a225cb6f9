{{/* Volumes of the pod, and where they are mounted. A Secret or ConfigMap is mounted as a folder, so that changes arrive; manifests are files
in a folder of models, and a change of them rolls the pods. */}}

{{- define "ml.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if ne .Values.models.source "image" }}
- name: models
  mountPath: {{ .Values.models.mountPath }}
  {{- /* A container runtime cannot make the place of a file below in what is mounted read-only (kubernetes/kubernetes#121294). */}}
  readOnly: {{ not (and (eq .Values.models.source "init") .Values.models.manifests) }}
  {{- if and (eq .Values.models.source "pvc") .Values.models.pvc.subPath }}
  subPath: {{ .Values.models.pvc.subPath }}
  {{- end }}
{{- end }}
{{- if .Values.configFile }}
- {name: config, mountPath: /etc/ml-inference-api, readOnly: true}
{{- end }}
{{- range $model, $text := .Values.models.manifests }}
- {name: manifests, mountPath: {{ $.Values.models.mountPath }}/{{ $model }}/model.toml, subPath: {{ $model }}.model.toml, readOnly: true}
{{- end }}
{{- if ne .Values.models.cache.type "none" }}
- {name: cache, mountPath: /var/cache/ml-inference-api}
{{- end }}
{{- if .Values.tls.secretName }}
- {name: tls, mountPath: /run/ml-inference-api/tls, readOnly: true}
{{- end }}
{{- if include "ml.mountsSecret" . }}
- {name: secrets, mountPath: {{ include "ml.secretsFolder" . }}, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ml.mountsSecret" -}}
{{- if and (has .Values.secrets.mode (list "secret" "externalSecret")) (include "ml.secretFiles" . | fromJson) }}true{{ end -}}
{{- end }}

{{- define "ml.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .Values.tmpSizeLimit }}}
{{- if eq .Values.models.source "pvc" }}
- name: models
  persistentVolumeClaim: {claimName: {{ .Values.models.pvc.claimName | default (printf "%s-models" (include "ml.fullname" .)) }}, readOnly: true}
{{- else if eq .Values.models.source "oci" }}
- name: models
  image: {reference: {{ .Values.models.oci.reference | quote }}, pullPolicy: {{ .Values.models.oci.pullPolicy }}}
{{- else if eq .Values.models.source "init" }}
- name: models
  emptyDir: {sizeLimit: {{ .Values.models.init.sizeLimit }}}
{{- end }}
{{- if .Values.configFile }}
- name: config
  configMap:
    name: {{ include "ml.configMapName" . }}
    items: [{key: config.toml, path: config.toml}]
{{- end }}
{{- if .Values.models.manifests }}
- name: manifests
  configMap: {name: {{ include "ml.configMapName" . }}}
{{- end }}
{{- if eq .Values.models.cache.type "emptyDir" }}
- name: cache
  emptyDir: {sizeLimit: {{ .Values.models.cache.sizeLimit }}}
{{- else if eq .Values.models.cache.type "pvc" }}
- name: cache
  persistentVolumeClaim: {claimName: {{ .Values.models.cache.claimName }}}
{{- end }}
{{- if .Values.tls.secretName }}
- name: tls
  secret: {secretName: {{ .Values.tls.secretName }}, defaultMode: 0440}
{{- end }}
{{- if include "ml.mountsSecret" . }}
- name: secrets
  secret:
    secretName: {{ .Values.secrets.name }}
    defaultMode: 0440
    items:
      {{- range include "ml.secretNames" . | fromJsonArray }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
