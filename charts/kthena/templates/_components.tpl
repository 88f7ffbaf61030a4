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
{{- $components := list }}
{{- if .Values.registry.enabled }}
{{- $admits := dict "admits" "ModelBooster and AutoscalingPolicy" "webhooks" (list "mutating" "validating") }}
{{- $kinds := dict "group" "workload.serving.volcano.sh" "resources" (list "modelboosters" "autoscalingpolicies") }}
{{- $at := dict "ctx" .Subcharts.registry "path" "registry.controllerManager" "values" .Values.registry.controllerManager }}
{{- $components = append $components (include "kthena.facts.component" (merge $at $admits (dict "kinds" $kinds)) | fromJson) }}
{{- end }}
{{- if .Values.workload.enabled }}
{{- $admits := dict "admits" "ModelServing" "webhooks" (list "validating") }}
{{- $kinds := dict "group" "workload.serving.volcano.sh" "resources" (list "modelservings") }}
{{- $at := dict "ctx" .Subcharts.workload "path" "workload.controllerManager" "values" .Values.workload.controllerManager }}
{{- $components = append $components (include "kthena.facts.component" (merge $at $admits (dict "kinds" $kinds)) | fromJson) }}
{{- end }}
{{- if and .Values.networking.enabled .Values.networking.kthenaRouter.enabled }}
{{- $admits := dict "admits" "ModelRoute and ModelServer" "webhooks" (list "validating") }}
{{- $kinds := dict "group" "networking.serving.volcano.sh" "resources" (list "modelroutes" "modelservers") }}
{{- $at := dict "ctx" .Subcharts.networking "path" "networking.kthenaRouter" "values" .Values.networking.kthenaRouter }}
{{- $components = append $components (include "kthena.facts.component" (merge $at $admits (dict "kinds" $kinds)) | fromJson) }}
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
Takes: ctx (the root of the subchart), path, values, admits, kinds, webhooks (the kinds of its webhook configurations).
*/}}
{{- define "kthena.facts.component" -}}
{{- $deployment := include "kthena.component.name" .ctx }}
{{- $certificates := list }}
{{- if .values.webhook.enabled }}
{{- $service := include "kthena.webhook.service" .ctx }}
{{- $certificate := dict "key" "webhook.tls.secretName" "secretName" .values.webhook.tls.secretName "service" $service "port" "webhook" }}
{{- range .webhooks }}
{{- $_ := set $certificate . (list (include "kthena.webhook.configuration" (dict "ctx" $.ctx "kind" .))) }}
{{- end }}
{{- $names := include "kthena.dnsNames" (dict "ctx" .ctx "service" $service) }}
{{- $certificates = append $certificates (include "kthena.facts.certificate" (merge (dict "dnsNames" $names) $certificate .) | fromJson) }}
{{- end }}
{{- if dig "tls" "enabled" false .values }}
{{- $certificate := dict "key" "tls.secretName" "secretName" .values.tls.secretName "service" $deployment "port" "http" }}
{{- $names := include "kthena.router.dnsNames" (dict "ctx" .ctx "name" $deployment "values" .values) }}
{{- $certificates = append $certificates (include "kthena.facts.certificate" (merge (dict "dnsNames" $names) $certificate .) | fromJson) }}
{{- end }}
{{- $account := include "kthena.serviceAccount.name" (dict "name" $deployment "values" .values) }}
{{- $own := dict "deployment" $deployment "account" $account "webhook" .values.webhook.enabled "networkPolicy" .values.networkPolicy.enabled }}
{{- merge $own (dict "caBundle" .values.webhook.caBundle "certificates" $certificates) (pick . "path" "admits" "kinds") | toJson }}
{{- end }}

{{/*
One certificate, as JSON:
  service, port         the Service that it is served behind, and the name of its port
  path, secretName      where the values name the Secret, and how
  secret                the Secret's real name
  dnsNames              a list of names
  mutating, validating  the webhook configurations that have to trust it, if any
Takes: ctx, path (of the component), key (where the Secret's name is below that), dnsNames (one a line), and the rest as it is.
*/}}
{{- define "kthena.facts.certificate" -}}
{{- $secret := include "kthena.secret" (dict "ctx" .ctx "secret" .secretName) }}
{{- $own := dict "path" (print .path "." .key) "secret" $secret "dnsNames" (splitList "\n" .dnsNames) }}
{{- merge $own (pick . "service" "port" "secretName" "mutating" "validating") | toJson }}
{{- end }}
