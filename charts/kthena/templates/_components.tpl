{{/*
What the release consists of. It is the one place that the umbrella's other templates know that from; each reads it once:

  {{- $facts := include "kthena.facts" . | fromJson }}

It has
  components     a list of those that are installed, see kthena.facts.component
  certificates   those of all components in one list, see kthena.facts.certificate
  secrets        the real names of their Secrets
  controller     whether the controller is installed: it is not where no component serves TLS
  networkPolicy  whether a component asks for a NetworkPolicy, as in a namespace that denies everything else
It is JSON, because Helm takes ten times as long to read YAML. Takes: the root of the umbrella chart.
*/}}
{{- define "kthena.facts" -}}
{{- $components := include "kthena.facts.components" . | fromJsonArray }}
{{- $certificates := list }}
{{- $secrets := list }}
{{- $policy := false }}
{{- range $components }}
{{- $certificates = concat $certificates .certificates }}
{{- range .certificates }}
{{- $secrets = append $secrets .secret }}
{{- end }}
{{- $policy = or $policy .networkPolicy }}
{{- end }}
{{- $controller := and .Values.global.certgen.controller.enabled (not (empty $certificates)) }}
{{- dict "components" $components "certificates" $certificates "secrets" $secrets "controller" $controller "networkPolicy" $policy | toJson }}
{{- end }}

{{/* The components that are installed, as JSON. Takes: the root of the umbrella chart. */}}
{{- define "kthena.facts.components" -}}
{{- $workload := "workload.serving.volcano.sh" }}
{{- $components := list }}
{{- if .Values.registry.enabled }}
{{- $component := dict "deployment" "kthena-registry" "admits" "ModelBooster and AutoscalingPolicy" }}
{{- $kinds := dict "group" $workload "resources" (list "modelboosters" "autoscalingpolicies") }}
{{- $webhooks := dict "mutating" (list "kthena-registry-mutating-webhook") "validating" (list "kthena-registry-validating-webhook") }}
{{- $_ := set $webhooks "service" "registry-webhook" }}
{{- $at := dict "ctx" . "path" "registry.controllerManager" "values" .Values.registry.controllerManager }}
{{- $components = append $components (include "kthena.facts.component" (dict "at" $at "component" $component "kinds" $kinds "webhooks" $webhooks) | fromJson) }}
{{- end }}
{{- if .Values.workload.enabled }}
{{- $component := dict "deployment" "kthena-workload" "admits" "ModelServing" }}
{{- $kinds := dict "group" $workload "resources" (list "modelservings") }}
{{- $webhooks := dict "service" "workload-webhook" "validating" (list "kthena-workload-validating-webhook") }}
{{- $at := dict "ctx" . "path" "workload.controllerManager" "values" .Values.workload.controllerManager }}
{{- $components = append $components (include "kthena.facts.component" (dict "at" $at "component" $component "kinds" $kinds "webhooks" $webhooks) | fromJson) }}
{{- end }}
{{- if and .Values.networking.enabled .Values.networking.kthenaRouter.enabled }}
{{- $component := dict "deployment" "kthena-router" "admits" "ModelRoute and ModelServer" }}
{{- $kinds := dict "group" "networking.serving.volcano.sh" "resources" (list "modelroutes" "modelservers") }}
{{- $webhooks := dict "service" "networking-webhook" "validating" (list "kthena-networking-validating-webhook") }}
{{- $at := dict "ctx" . "path" "networking.kthenaRouter" "values" .Values.networking.kthenaRouter }}
{{- $components = append $components (include "kthena.facts.component" (dict "at" $at "component" $component "kinds" $kinds "webhooks" $webhooks) | fromJson) }}
{{- end }}
{{- toJson $components }}
{{- end }}

{{/*
One component, as JSON:
  deployment     name of its Deployment
  account        name of its ServiceAccount
  admits         the kinds of objects that its webhooks check, in words
  kinds          the same for the API: group and resources
  webhook        whether it serves its webhooks
  networkPolicy  whether it asks for a NetworkPolicy
  path           where its values are
  caBundle       the CA bundle of its own, if any
  certificates   what it serves TLS with, see kthena.facts.certificate
Takes: component (deployment, admits), kinds, webhooks (service, mutating, validating), at (ctx, path, values).
*/}}
{{- define "kthena.facts.component" -}}
{{- $values := .at.values }}
{{- $certificates := list }}
{{- if $values.webhook.enabled }}
{{- $names := include "kthena.dnsNames" (dict "ctx" .at.ctx "service" .webhooks.service) }}
{{- $own := dict "at" .at "key" "webhook.tls" "secretName" $values.webhook.tls.secretName "port" "webhook" "dnsNames" $names }}
{{- $certificates = append $certificates (include "kthena.facts.certificate" (merge $own .webhooks) | fromJson) }}
{{- end }}
{{- if dig "tls" "enabled" false $values }}
{{- $names := include "kthena.router.dnsNames" (dict "ctx" .at.ctx "name" .component.deployment "values" $values) }}
{{- $own := dict "at" .at "key" "tls" "secretName" $values.tls.secretName "port" "http" "dnsNames" $names }}
{{- $certificates = append $certificates (include "kthena.facts.certificate" (merge $own (dict "service" .component.deployment)) | fromJson) }}
{{- end }}
{{- $account := include "kthena.serviceAccount.name" (dict "name" .component.deployment "values" $values) }}
{{- $own := dict "account" $account "webhook" $values.webhook.enabled "caBundle" $values.webhook.caBundle "networkPolicy" $values.networkPolicy.enabled }}
{{- merge $own (dict "path" .at.path "kinds" .kinds "certificates" $certificates) .component | toJson }}
{{- end }}

{{/*
One certificate, as JSON:
  service, port         the Service that it is served behind, and the name of its port
  path, secretName      where the values name the Secret, and how
  secret                the Secret's real name
  dnsNames              a list of names
  mutating, validating  the webhook configurations that have to trust it, if any
Takes: at (ctx, path), key (where the Secret's name is below the path), secretName, dnsNames (one a line), and the rest as it is.
*/}}
{{- define "kthena.facts.certificate" -}}
{{- $secret := dict "path" (printf "%s.%s.secretName" .at.path .key) "secret" (include "kthena.secret" (dict "ctx" .at.ctx "secret" .secretName)) }}
{{- merge (dict "dnsNames" (splitList "\n" .dnsNames)) $secret (pick . "service" "port" "secretName" "mutating" "validating") | toJson }}
{{- end }}
