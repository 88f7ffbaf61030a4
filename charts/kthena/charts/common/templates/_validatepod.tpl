{{/*
Stops the render when a component's pods could not run as told. Takes: as kthena.validate.
*/}}
{{- define "kthena.validate.pod" -}}
{{- $values := .values }}
{{- range $field := keys ($values.podSpec | default dict) | sortAlpha }}
{{- $own := get (include "kthena.podSpec.fields" $ | fromYaml) $field }}
{{- if $own }}
{{- fail (printf "ERROR: %s.podSpec.%s is set by the chart: use %s; podSpec takes other fields of a pod's spec, such as hostNetwork and dnsPolicy"
    $.path $field $own) }}
{{- end }}
{{- end }}
{{- if and (not $values.serviceAccount.create) (not $values.serviceAccount.name) }}
{{- fail (printf "ERROR: %[1]s.serviceAccount.create is false: set %[1]s.serviceAccount.name to the account that is there, which gets the component's rights"
    .path) }}
{{- end }}
{{- $grace := int $values.terminationGracePeriodSeconds }}
{{- if and $grace (le $grace (int $values.preStopSeconds)) }}
{{- fail (printf "ERROR: %[1]s.terminationGracePeriodSeconds is %[2]d and %[1]s.preStopSeconds %[3]d: allow more than that, or 0 for 30 more"
    .path $grace (int $values.preStopSeconds)) }}
{{- end }}
{{- if gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas) }}
{{- fail (printf "ERROR: %[1]s.autoscaling.minReplicas is %[2]d and %[1]s.autoscaling.maxReplicas %[3]d: allow at least as many"
    .path (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) }}
{{- end }}
{{- include "kthena.validate.ports" . }}
{{- end }}

{{/* Fields of a pod's spec that the chart sets itself, and the values to use instead. Takes: path. */}}
{{- define "kthena.podSpec.fields" -}}
affinity: {{ .path }}.affinity
containers: {{ .path }}.extraArgs, extraEnv and extraVolumeMounts
imagePullSecrets: global.imagePullSecrets
initContainers: global.certgen
nodeSelector: {{ .path }}.nodeSelector
priorityClassName: {{ .path }}.priorityClassName
securityContext: {{ .path }}.podSecurityContext
serviceAccount: {{ .path }}.serviceAccount
serviceAccountName: {{ .path }}.serviceAccount
terminationGracePeriodSeconds: {{ .path }}.terminationGracePeriodSeconds
tolerations: {{ .path }}.tolerations
topologySpreadConstraints: {{ .path }}.topologySpreadConstraints
volumes: {{ .path }}.extraVolumes
{{- end }}

{{/* Stops the render when two servers of one pod have one port. Takes: path, values. */}}
{{- define "kthena.validate.ports" -}}
{{- $webhook := ternary .values.webhook.port 0 .values.webhook.enabled }}
{{- $ports := list (list "port" (dig "port" 0 .values)) (list "webhook.port" $webhook) (list "metrics.port" (dig "metrics" "port" 0 .values))
    (list "debugPort" .values.debugPort) }}
{{- $names := dict }}
{{- range $ports }}
{{- $port := last . | int | toString }}
{{- if and (ne $port "0") (hasKey $names $port) }}
{{- fail (printf "ERROR: %[1]s.%[2]s and %[1]s.%[3]s are both %[4]s: give each server of the pod a port of its own"
    $.path (get $names $port) (first .) $port) }}
{{- end }}
{{- $_ := set $names $port (first .) }}
{{- end }}
{{- end }}

{{/*
Stops the render at a value of Kthena's own chart that has another name here. Takes: as kthena.validate; moved is a dict of the value's
path below the component to what to do instead.
*/}}
{{- define "kthena.validate.moved" -}}
{{- range $key := keys (.moved | default dict) | sortAlpha }}
{{- $at := $.values }}
{{- range splitList "." $key }}
{{- $at = ternary (get (ternary $at dict (kindIs "map" $at)) .) nil (kindIs "map" $at) }}
{{- end }}
{{- if not (or (kindIs "invalid" $at) (eq (toString $at) "")) }}
{{- fail (printf "ERROR: %s.%s is a value of Kthena's own chart: %s" $.path $key (get $.moved $key)) }}
{{- end }}
{{- end }}
{{- end }}
