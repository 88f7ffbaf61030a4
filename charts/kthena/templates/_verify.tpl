{{/*
What `helm test` looks at, as YAML: services, deployments and secrets (lists of names), kinds (a list of group and resources), and
networkPolicy (whether any of that asks for one).
Takes: the root of the umbrella chart.
*/}}
{{- define "kthena.verify.objects" -}}
{{- $services := list }}
{{- $secrets := list }}
{{- /* Without it, whether the router serves TLS cannot be seen. */}}
{{- $deployments := list "kthena-router" }}
{{- $kinds := list }}
{{- $policy := false }}
{{- range include "kthena.components" . | fromYamlArray }}
{{- range .certificates }}
{{- $services = append $services .service }}
{{- $secrets = append $secrets .secret }}
{{- end }}
{{- if .webhook }}
{{- $deployments = append $deployments .deployment }}
{{- $kinds = append $kinds .kinds }}
{{- end }}
{{- $policy = or $policy .networkPolicy }}
{{- end }}
{{- if include "kthena.controller.enabled" . }}
{{- $deployments = append $deployments "kthena-certgen" }}
{{- end }}
{{- toYaml (dict "services" $services "deployments" (uniq $deployments) "secrets" $secrets "kinds" $kinds "networkPolicy" $policy) }}
{{- end }}
