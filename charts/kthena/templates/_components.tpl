{{/*
What the release consists of, as YAML: a list of the components that are installed. It is the one place that the umbrella's other
templates know them from. Each has

  deployment     name of its Deployment
  account        name of its ServiceAccount
  admits         the kinds of objects that its webhooks check, in words
  kinds          the same for the API: group and resources
  webhook        whether it serves its webhooks
  networkPolicy  whether it asks for a NetworkPolicy
  certificates   what it serves TLS with: service, port (the name of the Service's port), secret (the Secret's real name), path and
                 secretName (where the values name the Secret, and how), dnsNames, and mutating and validating (the webhook
                 configurations that have to trust it)

Takes: the root of the umbrella chart.
*/}}
{{- define "kthena.components" -}}
{{- if .Values.registry.enabled }}
{{- $registry := .Values.registry.controllerManager }}
- deployment: kthena-registry
  account: {{ include "kthena.serviceAccount.name" (dict "name" "kthena-registry" "values" $registry) }}
  admits: ModelBooster and AutoscalingPolicy
  kinds:
    group: workload.serving.volcano.sh
    resources: [modelboosters, autoscalingpolicies]
  webhook: {{ $registry.webhook.enabled }}
  networkPolicy: {{ $registry.networkPolicy.enabled }}
  certificates:
    {{- if $registry.webhook.enabled }}
    - service: registry-webhook
      port: webhook
      {{- include "kthena.component.secret" (dict "ctx" $ "path" "registry.controllerManager.webhook.tls" "tls" $registry.webhook.tls) | nindent 6 }}
      dnsNames: {{ include "kthena.dnsNames" (dict "ctx" $ "service" "registry-webhook") | splitList "\n" | toJson }}
      mutating: [kthena-registry-mutating-webhook]
      validating: [kthena-registry-validating-webhook]
    {{- end }}
{{- end }}
{{- if .Values.workload.enabled }}
{{- $workload := .Values.workload.controllerManager }}
- deployment: kthena-workload
  account: {{ include "kthena.serviceAccount.name" (dict "name" "kthena-workload" "values" $workload) }}
  admits: ModelServing
  kinds:
    group: workload.serving.volcano.sh
    resources: [modelservings]
  webhook: {{ $workload.webhook.enabled }}
  networkPolicy: {{ $workload.networkPolicy.enabled }}
  certificates:
    {{- if $workload.webhook.enabled }}
    - service: workload-webhook
      port: webhook
      {{- include "kthena.component.secret" (dict "ctx" $ "path" "workload.controllerManager.webhook.tls" "tls" $workload.webhook.tls) | nindent 6 }}
      dnsNames: {{ include "kthena.dnsNames" (dict "ctx" $ "service" "workload-webhook") | splitList "\n" | toJson }}
      validating: [kthena-workload-validating-webhook]
    {{- end }}
{{- end }}
{{- if and .Values.networking.enabled .Values.networking.kthenaRouter.enabled }}
{{- $router := .Values.networking.kthenaRouter }}
- deployment: kthena-router
  account: {{ include "kthena.serviceAccount.name" (dict "name" "kthena-router" "values" $router) }}
  admits: ModelRoute and ModelServer
  kinds:
    group: networking.serving.volcano.sh
    resources: [modelroutes, modelservers]
  webhook: {{ $router.webhook.enabled }}
  networkPolicy: {{ $router.networkPolicy.enabled }}
  certificates:
    {{- if $router.webhook.enabled }}
    - service: networking-webhook
      port: webhook
      {{- include "kthena.component.secret" (dict "ctx" $ "path" "networking.kthenaRouter.webhook.tls" "tls" $router.webhook.tls) | nindent 6 }}
      dnsNames: {{ include "kthena.dnsNames" (dict "ctx" $ "service" "networking-webhook") | splitList "\n" | toJson }}
      validating: [kthena-networking-validating-webhook]
    {{- end }}
    {{- if $router.tls.enabled }}
    - service: kthena-router
      port: http
      {{- include "kthena.component.secret" (dict "ctx" $ "path" "networking.kthenaRouter.tls" "tls" $router.tls) | nindent 6 }}
      dnsNames: {{ include "kthena.router.dnsNames" (dict "ctx" $ "name" "kthena-router" "values" $router) | splitList "\n" | toJson }}
    {{- end }}
{{- end }}
{{- end }}

{{/* What kthena.components says about a certificate's Secret. Takes: ctx, path (where the values name it), tls (what is there). */}}
{{- define "kthena.component.secret" -}}
path: {{ .path }}.secretName
secretName: {{ .tls.secretName | quote }}
secret: {{ include "kthena.secret" (dict "ctx" .ctx "secret" .tls.secretName) | quote }}
{{- end }}

{{/* All certificates of the release, as YAML: those of kthena.components in one list. Takes: the root of the umbrella chart. */}}
{{- define "kthena.certificates" -}}
{{- range include "kthena.components" . | fromYamlArray }}
{{- with .certificates }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
