{{/*
Names that more than one object has to agree on. A define takes one of two things:

  ctx        the root of the subchart, `$`
  component  a dict of ctx, name (of the Deployment, such as kthena-registry) and values (the part of the subchart's values
             that describes it)
*/}}

{{/* Name of the webhook's Service. Takes: ctx. */}}
{{- define "kthena.webhook.service" -}}
{{ .Chart.Name }}-webhook
{{- end }}

{{/* First part of the names of the webhook's Issuers and Certificates. Takes: ctx. */}}
{{- define "kthena.webhook.certificate" -}}
{{ .Chart.Name }}-webhook
{{- end }}

{{/*
Name of the Secret that holds a certificate. That of auto mode has a suffix, so that it never meets a key of another
origin. Takes: ctx, and secret, the name that the values give.
*/}}
{{- define "kthena.secret" -}}
{{ .secret }}{{ if eq .ctx.Values.global.certManagementMode "auto" }}-auto{{ end }}
{{- end }}

{{/* DNS names of a Service inside the cluster, one a line. Takes: ctx, and service, the Service's name. */}}
{{- define "kthena.dnsNames" -}}
{{ .service }}.{{ .ctx.Release.Namespace }}.svc
{{ .service }}.{{ .ctx.Release.Namespace }}.svc.{{ .ctx.Values.global.clusterDomain }}
{{- end }}
