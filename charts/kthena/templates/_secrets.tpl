{{/*
The Secrets of all certificates of the release, as kthena.webhook.secrets. Takes: the root of the umbrella chart.
*/}}
{{- define "kthena.secrets" -}}
{{- if .Values.registry.enabled }}
{{ include "kthena.webhook.secrets" (dict "path" "registry.controllerManager" "values" .Values.registry.controllerManager) }}
{{- end }}
{{- if .Values.workload.enabled }}
{{ include "kthena.webhook.secrets" (dict "path" "workload.controllerManager" "values" .Values.workload.controllerManager) }}
{{- end }}
{{- if .Values.networking.enabled }}
{{ include "kthena.router.secrets" .Values.networking.kthenaRouter }}
{{- end }}
{{- end }}
