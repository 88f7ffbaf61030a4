{{/*
Metadata of a component's Deployment. Where the controller keeps an eye on it, an annotation says so: by it kthena-certgen verify knows
that there should be one. Takes: component.
*/}}
{{- define "kthena.deployment.metadata" -}}
{{- $watched := and .ctx.Values.global.certgen.controller.enabled (or .values.webhook.enabled (dig "tls" "enabled" false .values)) }}
{{- $own := ternary (dict "certgen.kthena.volcano.sh/controller" "kthena-certgen") dict $watched }}
{{- include "kthena.metadata" (merge (dict "annotations" (merge $own (.values.deploymentAnnotations | default dict))) .) }}
{{- end }}
