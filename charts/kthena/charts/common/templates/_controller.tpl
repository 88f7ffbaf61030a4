{{/*
Annotations of a component's Deployment that the controller keeps an eye on: by them kthena-certgen verify knows that there should be
one. They are not those of the pods. Takes: component.
*/}}
{{- define "kthena.controller.annotations" -}}
{{- if and .ctx.Values.global.certgen.controller.enabled (or .values.webhook.enabled (dig "tls" "enabled" false .values)) -}}
certgen.kthena.volcano.sh/controller: kthena-certgen
{{- end }}
{{- end }}
