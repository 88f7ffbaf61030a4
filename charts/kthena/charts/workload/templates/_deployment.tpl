{{/*
Deployment kthena-workload. Takes: ctx, and booster, a dict of what the registry's controllers are configured by (config,
autoscalingSyncPeriodSeconds) when it runs them, too.
*/}}
{{- define "kthena.workload.deployment" -}}
{{- $own := dict "controllers" (ternary "*" "modelserving" (not (empty .booster))) "webhooks" (list "validating") }}
{{- include "kthena.controllerManager.deployment" (merge (dict "ctx" .ctx "name" (include "kthena.component.name" .ctx)
    "values" .ctx.Values.controllerManager) $own .booster) }}
{{- end }}
