{{/*
Deployment kthena-registry. Takes: ctx, and all, whether it runs the controllers of the workload too.
*/}}
{{- define "kthena.registry.deployment" -}}
{{- $values := .ctx.Values.controllerManager }}
{{- $booster := dict "config" (include "kthena.registry.config" .ctx) "autoscalingSyncPeriodSeconds" $values.autoscalingSyncPeriodSeconds }}
{{- $own := dict "controllers" (ternary "*" "modelbooster,autoscaler" .all) "webhooks" (list "mutating" "validating") }}
{{- include "kthena.controllerManager.deployment" (merge (dict "ctx" .ctx "name" (include "kthena.component.name" .ctx) "values" $values) $own $booster) }}
{{- end }}

{{/* Data of the ConfigMap that the controller of ModelBooster reads. Takes: ctx. */}}
{{- define "kthena.registry.config" -}}
{{- $values := .Values.controllerManager -}}
model_serving_downloader_image: {{ include "kthena.image" (dict "ctx" . "image" $values.downloaderImage "tag" .Chart.AppVersion) }}
model_serving_runtime_image: {{ include "kthena.image" (dict "ctx" . "image" $values.runtimeImage "tag" .Chart.AppVersion) }}
{{- end }}
