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
