{{/* The command that installs the CRDs of Kthena. One is too big for a client-side apply. Takes: ctx. */}}
{{- define "kthena.crds.command" -}}
helm show crds oci://ghcr.io/volcano-sh/charts/kthena --version {{ .Chart.AppVersion }} | kubectl apply --server-side -f -
{{- end }}

{{/*
Names of Kthena's kinds that the cluster lacks, with commas between; nothing without a cluster, when Helm knows groups and versions but
no kinds. Takes: ctx.
*/}}
{{- define "kthena.crds.missing" -}}
{{- $missing := list }}
{{- range $kind := list "workload.serving.volcano.sh/v1alpha1/ModelBooster" "workload.serving.volcano.sh/v1alpha1/AutoscalingPolicy"
    "workload.serving.volcano.sh/v1alpha1/ModelServing"
    "networking.serving.volcano.sh/v1alpha1/ModelRoute" "networking.serving.volcano.sh/v1alpha1/ModelServer" }}
{{- if not ($.Capabilities.APIVersions.Has $kind) }}
{{- $missing = append $missing (base $kind) }}
{{- end }}
{{- end }}
{{- if .Capabilities.APIVersions.Has "apps/v1/Deployment" }}{{ join ", " $missing }}{{ end }}
{{- end }}

{{/* Stops the render when the cluster is known to lack Kthena's CRDs, unless they may come later. Takes: ctx. */}}
{{- define "kthena.validate.crds" -}}
{{- $missing := include "kthena.crds.missing" . }}
{{- if and $missing .Values.global.requireCRDs }}
{{- fail (printf "ERROR: the cluster does not know %s: install Kthena's CRDs first (%s), or set global.requireCRDs to false"
    $missing (include "kthena.crds.command" .)) }}
{{- end }}
{{- end }}
