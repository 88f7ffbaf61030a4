{{/* DNS names of the router's own certificate, one a line: what the outside calls it, then its Service. Takes: component. */}}
{{- define "kthena.router.dnsNames" -}}
{{- with .values.tls.dnsName }}
{{- . }}
{{ end }}
{{- include "kthena.dnsNames" (dict "ctx" .ctx "service" "kthena-router") }}
{{- end }}
