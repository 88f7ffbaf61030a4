{{/* Service of the webhook. Takes: component. */}}
{{- define "kthena.webhook.serviceManifest" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "kthena.metadata" (merge (dict "object" (include "kthena.webhook.service" .ctx)
      "annotations" .values.webhook.serviceAnnotations) .) | nindent 2 }}
spec:
  selector:
    {{- include "kthena.selectorLabels" . | nindent 4 }}
  ports:
    - name: webhook
      port: 443
      targetPort: webhook
      protocol: TCP
{{- end }}

{{/*
CA certificates that the API server trusts in manual mode, PEM in base64. The API server does not mind newlines in it, which
base64 puts in without -w0. Takes: component.
*/}}
{{- define "kthena.webhook.caBundle" -}}
{{ .values.webhook.caBundle | default .ctx.Values.global.webhook.caBundle | nospace }}
{{- end }}

{{/*
The part of a webhook entry that is the same in all: whom the API server calls, when, and what it does when that fails. There
is a caBundle in manual mode alone, and not where something else injects it: otherwise it belongs to certgen or cert-manager, and an
empty one would take it away at every upgrade.
Takes: component, with path beside it, and reinvocationPolicy if the webhook mutates.
*/}}
{{- define "kthena.webhook.settings" -}}
{{- $webhook := .values.webhook -}}
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: {{ include "kthena.webhook.service" .ctx }}
    namespace: {{ .ctx.Release.Namespace | quote }}
    path: {{ .path }}
    port: 443
  {{- if and (eq .ctx.Values.global.certManagementMode "manual") (not .ctx.Values.global.webhook.injectorAnnotations) }}
  caBundle: {{ include "kthena.webhook.caBundle" . }}
  {{- end }}
failurePolicy: {{ $webhook.failurePolicy }}
matchPolicy: Equivalent
{{- with .reinvocationPolicy }}
reinvocationPolicy: {{ . }}
{{- end }}
sideEffects: None
timeoutSeconds: {{ $webhook.timeoutSeconds }}
{{- with $webhook.namespaceSelector }}
namespaceSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $webhook.objectSelector }}
objectSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $webhook.matchConditions }}
matchConditions:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Checksum of all webhook entries of the component, which the subchart's define kthena.<its name>.webhooks renders. Takes: component.
*/}}
{{- define "kthena.webhook.checksum" -}}
{{ include (printf "kthena.%s.webhooks" .ctx.Chart.Name) . | sha256sum }}
{{- end }}

{{/* Metadata of a webhook configuration. Takes: component, with kind (mutating or validating) beside it. */}}
{{- define "kthena.webhook.metadata" -}}
{{- $own := dict }}
{{- if eq .ctx.Values.global.certManagementMode "cert-manager" }}
{{- $own = dict "cert-manager.io/inject-ca-from" (printf "%s/%s-cert" .ctx.Release.Namespace (include "kthena.webhook.certificate" .ctx)) }}
{{- else if eq .ctx.Values.global.certManagementMode "auto" }}
{{- $own = dict (include "kthena.certgen.annotation" .) (include "kthena.webhook.checksum" .) }}
{{- else }}
{{- $own = merge (dict) (.ctx.Values.global.webhook.injectorAnnotations | default dict) }}
{{- end }}
{{- $annotations := merge $own (.values.webhook.annotations | default dict) }}
{{- include "kthena.metadata" (merge (dict "object" (include "kthena.webhook.configuration" .) "clusterWide" true "annotations" $annotations) .) }}
{{- end }}
