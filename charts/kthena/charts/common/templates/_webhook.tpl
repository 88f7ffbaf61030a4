{{/* Service of the webhook. Takes: component. */}}
{{- define "kthena.webhook.serviceManifest" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "kthena.webhook.service" .ctx }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "kthena.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "kthena.selectorLabels" . | nindent 4 }}
  ports:
    - name: webhook
      port: 443
      targetPort: webhook
      protocol: TCP
{{- end }}

{{/* CA certificates that the API server trusts in manual mode, PEM in base64. Takes: component. */}}
{{- define "kthena.webhook.caBundle" -}}
{{ .values.webhook.caBundle | default .ctx.Values.global.webhook.caBundle }}
{{- end }}

{{/*
The part of a webhook entry that is the same in all: whom the API server calls, and what it does when that fails. There
is a caBundle in manual mode alone: in the others it belongs to certgen or cert-manager, and an empty one would take it
away at every upgrade.
Takes: component, with path beside it.
*/}}
{{- define "kthena.webhook.settings" -}}
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: {{ include "kthena.webhook.service" .ctx }}
    namespace: {{ .ctx.Release.Namespace }}
    path: {{ .path }}
    port: 443
  {{- if eq .ctx.Values.global.certManagementMode "manual" }}
  caBundle: {{ include "kthena.webhook.caBundle" . }}
  {{- end }}
failurePolicy: {{ .values.webhook.failurePolicy }}
matchPolicy: Equivalent
sideEffects: None
timeoutSeconds: {{ .values.webhook.timeoutSeconds }}
{{- end }}

{{/*
Metadata of a webhook configuration. Takes: component, with configuration (the object's name) and webhooks (the rendered entries
of all configurations of the component) beside it.
*/}}
{{- define "kthena.webhook.metadata" -}}
name: {{ .configuration }}
{{- if eq .ctx.Values.global.certManagementMode "cert-manager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .ctx.Release.Namespace }}/{{ include "kthena.webhook.certificate" .ctx }}-cert
{{- else if eq .ctx.Values.global.certManagementMode "auto" }}
annotations:
  {{ include "kthena.certgen.annotation" . }}: {{ sha256sum .webhooks }}
{{- end }}
labels:
  {{- include "kthena.labels" . | nindent 2 }}
{{- end }}

{{/* Probes of a program whose only server is the webhook's. Takes: nothing. */}}
{{- define "kthena.webhook.probes" -}}
{{- $check := dict "httpGet" (dict "path" "/healthz" "port" "webhook" "scheme" "HTTPS") }}
{{- include "kthena.pod.probes" (dict "startup" $check "liveness" $check "readiness" $check) }}
{{- end }}
