{{/*
Roles of a controller-manager and what binds them. Takes: component and, beside it,
  booster   true when it always runs the controller of ModelBooster
  webhooks  kinds (mutating, validating) of its webhook configurations
*/}}
{{- define "kthena.controllerManager.rbac" -}}
{{- if .ctx.Values.global.rbac.create -}}
{{- $certgen := and .values.webhook.enabled (include "kthena.certgen.enabled" .ctx) -}}
{{- $elects := include "kthena.several" .values -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  {{- include "kthena.metadata" (merge (dict "clusterWide" true) .) | nindent 2 }}
rules:
  {{- include "kthena.controllerManager.rules" . | nindent 2 }}
  {{- if $certgen }}
  {{- include "kthena.certgen.webhookRules" . | trim | nindent 2 }}
  {{- end }}
---
{{ include "kthena.roleBinding" (merge (dict "kind" "ClusterRole") .) }}
{{- if or .booster $elects $certgen }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "kthena.metadata" . | nindent 2 }}
rules:
  {{- /* One that is elected may have to run the controller of ModelBooster for the others. */}}
  {{- if or .booster $elects }}
  - apiGroups: [""]
    resources: [configmaps]
    resourceNames: [model-booster-controller-config]
    verbs: [get]
  {{- end }}
  {{- if $elects }}
  {{- include "kthena.controllerManager.leaseRules" . | nindent 2 }}
  {{- end }}
  {{- if $certgen }}
  {{- include "kthena.certgen.secretRules" (dict "secrets" (list (include "kthena.secret" (dict "ctx" .ctx
      "secret" .values.webhook.tls.secretName)))) | nindent 2 }}
  {{- end }}
---
{{ include "kthena.roleBinding" (merge (dict "kind" "Role") .) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
What kthena-controller-manager v1.0.0 may do in the whole cluster. It is one list for all of its controllers, because the
program opens most of its watches whichever of them it runs. Takes: nothing.
*/}}
{{- define "kthena.controllerManager.rules" -}}
- apiGroups: [networking.serving.volcano.sh]
  resources: [modelservers, modelroutes]
  verbs: [create, delete, get, list, patch, update, watch]
- apiGroups: [workload.serving.volcano.sh]
  resources: [autoscalingpolicies, modelservings, modelboosters]
  verbs: [create, delete, get, list, patch, update, watch]
- apiGroups: [workload.serving.volcano.sh]
  resources: [autoscalingpolicies/status, modelservings/status, modelboosters/status]
  verbs: [get, patch, update]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [create, delete, deletecollection, get, list, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [create, delete, get, list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch, update]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [create, delete, get, list, update]
- apiGroups: [scheduling.volcano.sh]
  resources: [podgroups]
  verbs: [create, delete, get, list, update, watch]
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets, leaderworkersets/status]
  verbs: [get, list, update, watch]
{{- end }}

{{/*
Rules for the lease by which replicas of the controller-manager elect the one that reconciles. The program fixes its name
and takes the pod's namespace. Takes: nothing.
*/}}
{{- define "kthena.controllerManager.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [lease.kthena.controller-manager]
  verbs: [get, update]
{{- end }}
