{{/* What the notes say about a component. Takes: deployment, what (the kinds that it admits), webhook (its values). */}}
{{- define "kthena.notes.component" -}}
- {{ .deployment }} {{ ternary "checks" "does NOT check" .webhook.enabled }} {{ .what }} objects before they are stored
{{- end }}
