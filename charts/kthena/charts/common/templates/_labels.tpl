{{/* Labels that select the component's pods; a Deployment cannot change them. Takes: component. */}}
{{- define "kthena.selectorLabels" -}}
app.kubernetes.io/name: kthena
app.kubernetes.io/instance: {{ .ctx.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{/* Labels of every object. Takes: component. */}}
{{- define "kthena.labels" -}}
{{ include "kthena.selectorLabels" . }}
app.kubernetes.io/version: {{ .ctx.Chart.AppVersion }}
app.kubernetes.io/part-of: kthena
app.kubernetes.io/managed-by: {{ .ctx.Release.Service }}
helm.sh/chart: {{ .ctx.Chart.Name }}-{{ .ctx.Chart.Version | replace "+" "_" }}
{{- end }}

{{/*
Labels of a pod: the user's, and above them those that select it. The chart's version is left out, so that a new chart
does not replace pods in which nothing else changes. Takes: component.
*/}}
{{- define "kthena.podLabels" -}}
{{- $own := dict "app.kubernetes.io/version" .ctx.Chart.AppVersion "app.kubernetes.io/part-of" "kthena" }}
{{- toYaml (merge (include "kthena.selectorLabels" . | fromYaml) $own .values.podLabels) }}
{{- end }}
