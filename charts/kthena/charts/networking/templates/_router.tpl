{{/* DNS names of the router's own certificate, one a line: what the outside calls it, then its Service. Takes: component. */}}
{{- define "kthena.router.dnsNames" -}}
{{- with .values.tls.dnsName }}
{{- . }}
{{ end }}
{{- include "kthena.dnsNames" (dict "ctx" .ctx "service" .name) }}
{{- end }}

{{/*
Folder of the access log, if it is a file in a folder in which no volume of the user's is mounted: the root file system is read-only.
Takes: the router's values.
*/}}
{{- define "kthena.router.logFolder" -}}
{{- $folder := dir .accessLog.output }}
{{- $mounted := false }}
{{- range .extraVolumeMounts }}
{{- $mounted = or $mounted (eq (clean .mountPath) $folder) }}
{{- end }}
{{- if and .accessLog.enabled (isAbs .accessLog.output) (not $mounted) }}
{{- $folder }}
{{- end }}
{{- end }}

{{/* Arguments of the router. Takes: component. */}}
{{- define "kthena.router.args" -}}
{{- $router := .values -}}
- --port={{ $router.port }}
- --debug-port={{ $router.debugPort }}
- --kube-api-qps={{ $router.kubeAPIQPS }}
- --kube-api-burst={{ $router.kubeAPIBurst }}
- --enable-gateway-api={{ $router.gatewayAPI.enabled }}
- --enable-gateway-api-inference-extension={{ $router.gatewayAPI.inferenceExtension }}
{{- if $router.metrics.port }}
- --metrics-port={{ $router.metrics.port }}
- --expose-metrics-on-router-port={{ $router.metrics.exposeOnRouterPort }}
{{- end }}
{{- if $router.tls.enabled }}
- --tls-cert=/etc/router-tls/tls.crt
- --tls-key=/etc/router-tls/tls.key
{{- end }}
- --enable-webhook={{ $router.webhook.enabled }}
{{- if $router.webhook.enabled }}
- --webhook-port={{ $router.webhook.port }}
- --webhook-tls-cert-file=/etc/tls/tls.crt
- --webhook-tls-private-key-file=/etc/tls/tls.key
- --webhook-service-name={{ include "kthena.webhook.service" .ctx }}
# The program may not read this Secret, so it serves the files and changes nothing.
- --cert-secret-name={{ $router.webhook.tls.secretName }}
{{- end }}
{{- with $router.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Environment of the router. What is empty or 0 is left to the program. Takes: component. */}}
{{- define "kthena.router.environment" -}}
{{- $router := .values -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: DRAIN_TIMEOUT
  value: {{ $router.drainTimeout | quote }}
- name: ENABLE_FAIRNESS_SCHEDULING
  value: {{ $router.fairness.enabled | quote }}
{{- if $router.fairness.enabled }}
- name: FAIRNESS_WINDOW_SIZE
  value: {{ $router.fairness.windowSize | quote }}
- name: FAIRNESS_INPUT_TOKEN_WEIGHT
  value: {{ $router.fairness.inputTokenWeight | quote }}
- name: FAIRNESS_OUTPUT_TOKEN_WEIGHT
  value: {{ $router.fairness.outputTokenWeight | quote }}
{{- with $router.fairness.maxConcurrent }}
- name: FAIRNESS_MAX_CONCURRENT
  value: {{ int64 . | quote }}
{{- end }}
{{- end }}
- name: ACCESS_LOG_ENABLED
  value: {{ $router.accessLog.enabled | quote }}
- name: ACCESS_LOG_FORMAT
  value: {{ $router.accessLog.format | quote }}
- name: ACCESS_LOG_OUTPUT
  value: {{ $router.accessLog.output | quote }}
{{- if $router.sessionBoost.enabled }}
{{ include "kthena.router.sessionBoost" $router.sessionBoost }}
{{- end }}
{{ include "kthena.router.redis" . }}
{{- with $router.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Environment of the session boost. Takes: its values. */}}
{{- define "kthena.router.sessionBoost" -}}
- name: ENABLE_SESSION_BOOST
  value: "true"
{{- with .header }}
- name: SESSION_BOOST_HEADER
  value: {{ . | quote }}
{{- end }}
{{- with .maxSessions }}
- name: SESSION_BOOST_MAX_SESSIONS
  value: {{ int64 . | quote }}
{{- end }}
{{- with .inflightPerPod }}
- name: SESSION_BOOST_INFLIGHT_PER_POD
  value: {{ int64 . | quote }}
{{- end }}
{{- with .gracePeriod }}
- name: SESSION_BOOST_GRACE_PERIOD
  value: {{ . | quote }}
{{- end }}
{{- with .timeout }}
- name: SESSION_BOOST_TIMEOUT
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{/* Kthena's users make these two objects themselves when the router is to share state between replicas. Takes: nothing. */}}
{{- define "kthena.router.redis" -}}
- name: REDIS_HOST
  valueFrom:
    configMapKeyRef:
      name: redis-config
      key: REDIS_HOST
      optional: true
- name: REDIS_PORT
  valueFrom:
    configMapKeyRef:
      name: redis-config
      key: REDIS_PORT
      optional: true
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: redis-secret
      key: password
      optional: true
{{- end }}

{{/* What the router reads from its configuration file. Takes: the router's values. */}}
{{- define "kthena.router.config" -}}
{{- toYaml .routerConfiguration }}
{{- end }}
