{{/* Path that the Secret of a certificate is mounted at. Takes: a certificate of kthena.facts. */}}
{{- define "kthena.controller.certificateDir" -}}
/etc/certs/{{ .secret }}
{{- end }}

{{/*
The controller's configuration file: what it keeps in order, and how. Unknown keys are errors. Takes: ctx, the root of the umbrella chart,
and components, those of kthena.facts.
*/}}
{{- define "kthena.controller.config" -}}
{{- $certgen := .ctx.Values.global.certgen -}}
{{- $auto := include "kthena.certgen.enabled" .ctx -}}
release: {{ .ctx.Release.Name | quote }}
namespace: {{ .ctx.Release.Namespace | quote }}
mode: {{ .ctx.Values.global.certManagementMode }}
roll: {{ $certgen.controller.roll }}
settle: {{ $certgen.controller.settle }}
retireAfter: {{ $certgen.controller.retireAfter }}
warnWithin: {{ $certgen.controller.warnWithin }}
{{- if $auto }}
validity: {{ $certgen.validity }}
renewBefore: {{ $certgen.renewBefore }}
privateKey:
  algorithm: {{ $certgen.privateKey.algorithm }}
  size: {{ $certgen.privateKey.size }}
{{- end }}
components:
  {{- range .components }}
  {{- if .certificates }}
  - deployment: {{ .deployment }}
    labels:
      app.kubernetes.io/part-of: kthena
      app.kubernetes.io/component: {{ .deployment }}
      {{- with $.ctx.Values.global.commonLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $.ctx.Values.global.commonAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    certificates:
      {{- range .certificates }}
      - service: {{ .service }}
        port: {{ .port }}
        secret: {{ .secret | quote }}
        dnsNames:
          {{- toYaml .dnsNames | nindent 10 }}
        {{- with .mutating }}
        mutating:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        {{- with .validating }}
        validating:
          {{- toYaml . | nindent 10 }}
        {{- end }}
      {{- end }}
  {{- end }}
  {{- end }}
{{- end }}

{{/*
Stops the render when what the controller is asked for cannot work. The Prometheus Operator's kinds are looked for only when the
render knows the cluster, as those of cert-manager are. Takes: the root of the umbrella chart.
*/}}
{{- define "kthena.controller.validate" -}}
{{- $metrics := .Values.global.certgen.controller.metrics }}
{{- range $key := list "service" "podMonitor" "serviceMonitor" "prometheusRule" "dashboard" }}
{{- if and (get $metrics $key).enabled (not $metrics.enabled) }}
{{- fail (printf "ERROR: global.certgen.controller.metrics.%s needs the metrics: set global.certgen.controller.metrics.enabled to true" $key) }}
{{- end }}
{{- end }}
{{- if and $metrics.enabled (eq (int $metrics.port) 8081) }}
{{- fail "ERROR: global.certgen.controller.metrics.port is 8081, the port of the probes: choose another one" }}
{{- end }}
{{- if and (.Capabilities.APIVersions.Has "apps/v1/Deployment") (not (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) }}
{{- range $key := list "podMonitor" "serviceMonitor" "prometheusRule" }}
{{- if (get $metrics $key).enabled }}
{{- fail (printf (print "ERROR: the cluster does not serve monitoring.coreos.com/v1: install the Prometheus Operator first, "
    "or set global.certgen.controller.metrics.%s.enabled to false") $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
