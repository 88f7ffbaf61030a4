{{/*
Metadata of an object. Takes: component and, beside it if need be,
  object       name of the object, if it is not the component's
  clusterWide  true for an object without a namespace
  annotations  dict of annotations
  labels       dict of labels, below those of every object
*/}}
{{- define "kthena.metadata" -}}
name: {{ .object | default .name | quote }}
{{- if not .clusterWide }}
namespace: {{ .ctx.Release.Namespace | quote }}
{{- end }}
labels:
  {{- include "kthena.labels" . | nindent 2 }}
  {{- if .labels }}
  {{- $own := include "kthena.labels" . | fromYaml }}
  {{- range $key, $value := .labels }}
  {{- if not (hasKey $own $key) }}
  {{ $key }}: {{ $value | quote }}
  {{- end }}
  {{- end }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) (.ctx.Values.global.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Labels that select the component's pods; a Deployment cannot change them. Takes: component. */}}
{{- define "kthena.selectorLabels" -}}
app.kubernetes.io/name: kthena
app.kubernetes.io/instance: {{ .ctx.Release.Name | quote }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* Labels of every object. Takes: component. */}}
{{- define "kthena.labels" -}}
{{ include "kthena.selectorLabels" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion }}
app.kubernetes.io/part-of: kthena
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
helm.sh/chart: {{ .ctx.Chart.Name }}-{{ .ctx.Chart.Version | replace "+" "_" }}
{{- with .ctx.Values.global.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Labels of a pod: the user's, and above them those that select it. The chart's version is left out, so that a new chart
does not replace pods in which nothing else changes. Takes: component.
*/}}
{{- define "kthena.podLabels" -}}
{{- include "kthena.selectorLabels" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion }}
app.kubernetes.io/part-of: kthena
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/part-of" }}
{{- range $key, $value := merge (dict) (.values.podLabels | default dict) (.ctx.Values.global.commonLabels | default dict) }}
{{- if not (has $key $own) }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Annotations of a pod: the user's, and checksums of what its programs read once. An upgrade that adds a webhook entry then replaces
the pods, and the new ones give the entry its CA. Takes: component, with config (the data of its ConfigMap) beside it, if it has one.
*/}}
{{- define "kthena.podAnnotations" -}}
{{- $webhooks := dict }}
{{- if .values.webhook.enabled }}
{{- $webhooks = dict "checksum/webhooks" (include "kthena.webhook.checksum" .) }}
{{- end }}
{{- $config := dict }}
{{- with .config }}
{{- $config = dict "checksum/config" (sha256sum .) }}
{{- end }}
{{- with merge $webhooks $config (.values.podAnnotations | default dict) (.ctx.Values.global.commonAnnotations | default dict) }}
{{- toYaml . }}
{{- end }}
{{- end }}
