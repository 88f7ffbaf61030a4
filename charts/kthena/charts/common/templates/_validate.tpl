{{/*
Stops the render at a combination of values that cannot work, with one line that says what to set. Takes:

  ctx     the root of a subchart
  path    where the component's values are, such as registry.controllerManager
  values  the component's values
  moved   values of Kthena's own chart, see kthena.validate.moved
*/}}
{{- define "kthena.validate" -}}
{{- $mode := .ctx.Values.global.certManagementMode }}
{{- if eq $mode "manual" }}
{{- if .ctx.Values.global.webhook.injectorAnnotations }}
{{- if or .ctx.Values.global.webhook.caBundle .values.webhook.caBundle }}
{{- fail "ERROR: global.webhook.injectorAnnotations and a caBundle are both set: leave one of them empty, since each would replace the other's CA" }}
{{- end }}
{{- else if .values.webhook.enabled }}
{{- $path := ternary (print .path ".webhook.caBundle") "global.webhook.caBundle" (not (empty .values.webhook.caBundle)) }}
{{- include "kthena.validate.caBundle" (dict "path" $path "caBundle" (include "kthena.webhook.caBundle" .)) }}
{{- end }}
{{- else }}
{{- if .ctx.Values.global.webhook.injectorAnnotations }}
{{- fail "ERROR: global.webhook.injectorAnnotations is for manual mode alone: remove it, or set global.certManagementMode to manual" }}
{{- end }}
{{- if .ctx.Values.global.webhook.caBundle }}
{{- fail "ERROR: global.webhook.caBundle is for manual mode alone: remove it, or set global.certManagementMode to manual" }}
{{- end }}
{{- if .values.webhook.caBundle }}
{{- fail (printf "ERROR: %s.webhook.caBundle is for manual mode alone: remove it, or set global.certManagementMode to manual" .path) }}
{{- end }}
{{- end }}
{{- if and (eq $mode "cert-manager") (or .values.webhook.enabled (dig "tls" "enabled" false .values)) }}
{{- include "kthena.validate.certManager" .ctx }}
{{- end }}
{{- include "kthena.validate.moved" . }}
{{- include "kthena.validate.pod" . }}
{{- end }}

{{/*
Stops the render when cert-manager cannot work as told. Whether the cluster has it is known only when the render knows the
cluster: Helm's own list without one has groups and versions but no kinds. Takes: ctx.
*/}}
{{- define "kthena.validate.certManager" -}}
{{- $issuerRef := .Values.global.certManager.issuerRef }}
{{- if and (not $issuerRef.name) (or $issuerRef.kind $issuerRef.group) }}
{{- fail (print "ERROR: global.certManager.issuerRef has a kind or group but no name: set global.certManager.issuerRef.name, "
    "or leave all of it empty for issuers of the chart's own") }}
{{- end }}
{{- if and (has $issuerRef.group (list "" "cert-manager.io")) (not (has $issuerRef.kind (list "" "Issuer" "ClusterIssuer"))) }}
{{- fail (printf "ERROR: global.certManager.issuerRef.kind is %s: Issuer and ClusterIssuer are the kinds of cert-manager.io" $issuerRef.kind) }}
{{- end }}
{{- if and (.Capabilities.APIVersions.Has "apps/v1/Deployment") (not (.Capabilities.APIVersions.Has "cert-manager.io/v1")) }}
{{- fail "ERROR: the cluster does not serve cert-manager.io/v1: install cert-manager first, or set global.certManagementMode to auto" }}
{{- end }}
{{- end }}

{{/*
Stops the render when two certificates have one Secret: each would replace the other. Takes: a list of path (where the
values name the Secret) and secretName (how).
*/}}
{{- define "kthena.validate.secrets" -}}
{{- $paths := dict }}
{{- range . }}
{{- if hasKey $paths .secretName }}
{{- fail (printf "ERROR: %s and %s are both %s: give each certificate a Secret of its own" (get $paths .secretName) .path .secretName) }}
{{- end }}
{{- $_ := set $paths .secretName .path }}
{{- end }}
{{- end }}
