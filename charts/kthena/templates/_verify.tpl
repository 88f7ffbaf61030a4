{{/*
What `helm test` looks at, as YAML: services, deployments and secrets (lists of names), kinds (a list of group and resources), and
networkPolicy (whether any of that asks for one).
Takes: the root of the umbrella chart.
*/}}
{{- define "kthena.verify.objects" -}}
{{- $services := list }}
{{- /* Without it, whether the router serves TLS cannot be seen. */}}
{{- $deployments := list "kthena-router" }}
{{- $kinds := list }}
{{- $policy := false }}
{{- if and .Values.registry.enabled .Values.registry.controllerManager.webhook.enabled }}
{{- $services = append $services (include "kthena.webhook.service" (dict "Chart" (dict "Name" "registry"))) }}
{{- $deployments = append $deployments "kthena-registry" }}
{{- $kinds = append $kinds (dict "group" "workload.serving.volcano.sh" "resources" (list "modelboosters" "autoscalingpolicies")) }}
{{- $policy = or $policy .Values.registry.controllerManager.networkPolicy.enabled }}
{{- end }}
{{- if and .Values.workload.enabled .Values.workload.controllerManager.webhook.enabled }}
{{- $services = append $services (include "kthena.webhook.service" (dict "Chart" (dict "Name" "workload"))) }}
{{- $deployments = append $deployments "kthena-workload" }}
{{- $kinds = append $kinds (dict "group" "workload.serving.volcano.sh" "resources" (list "modelservings")) }}
{{- $policy = or $policy .Values.workload.controllerManager.networkPolicy.enabled }}
{{- end }}
{{- $router := .Values.networking.kthenaRouter }}
{{- if and .Values.networking.enabled $router.enabled }}
{{- $policy = or $policy $router.networkPolicy.enabled }}
{{- if $router.webhook.enabled }}
{{- $services = append $services (include "kthena.webhook.service" (dict "Chart" (dict "Name" "networking"))) }}
{{- $kinds = append $kinds (dict "group" "networking.serving.volcano.sh" "resources" (list "modelroutes" "modelservers")) }}
{{- end }}
{{- if $router.tls.enabled }}
{{- $services = append $services "kthena-router" }}
{{- end }}
{{- end }}
{{- $secrets := list }}
{{- range include "kthena.secrets" . | fromYamlArray }}
{{- $secrets = append $secrets (include "kthena.secret" (dict "ctx" $ "secret" .secret)) }}
{{- end }}
{{- toYaml (dict "services" $services "deployments" $deployments "secrets" $secrets "kinds" $kinds "networkPolicy" $policy) }}
{{- end }}
