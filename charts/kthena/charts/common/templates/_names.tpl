{{/*
Names that more than one object has to agree on. A define takes one of two things:

  ctx        the root of the subchart, `$`
  component  a dict of ctx, name (of the Deployment, such as kthena-registry) and values (the part of the subchart's values
             that describes it)

Names that users give are written by `quote`, since YAML takes some for numbers, such as 123 and 1e3.
*/}}

{{/* Name of the subchart's Deployment and of most that belongs to it. Takes: ctx. */}}
{{- define "kthena.component.name" -}}
kthena-{{ eq .Chart.Name "networking" | ternary "router" .Chart.Name }}
{{- end }}

{{/* Name of the webhook's Service. Takes: ctx. */}}
{{- define "kthena.webhook.service" -}}
{{ .Chart.Name }}-webhook
{{- end }}

{{/* Name of a webhook configuration. Takes: ctx, and kind, mutating or validating. */}}
{{- define "kthena.webhook.configuration" -}}
kthena-{{ .ctx.Chart.Name }}-{{ .kind }}-webhook
{{- end }}

{{/* First part of the names of the webhook's Issuers and Certificates. Takes: ctx. */}}
{{- define "kthena.webhook.certificate" -}}
{{ .Chart.Name }}-webhook
{{- end }}

{{/* Name of the component's ServiceAccount. Takes: component. */}}
{{- define "kthena.serviceAccount.name" -}}
{{ dig "serviceAccount" "name" "" (.values | default dict) | default .name }}
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
