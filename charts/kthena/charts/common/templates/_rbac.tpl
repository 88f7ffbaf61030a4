{{/* ServiceAccount of the component, unless it has one of the user's. Takes: component. */}}
{{- define "kthena.serviceAccount" -}}
{{- $account := dig "serviceAccount" dict (.values | default dict) }}
{{- if dig "create" true $account -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "kthena.metadata" (merge (dict "object" $account.name "annotations" $account.annotations) .) | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Binding of the component's role of the same name to its ServiceAccount.
Takes: component, with kind (Role or ClusterRole) beside it.
*/}}
{{- define "kthena.roleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  {{- include "kthena.metadata" (merge (dict "clusterWide" (eq .kind "ClusterRole")) .) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "kthena.serviceAccount.name" . | quote }}
    namespace: {{ .ctx.Release.Namespace | quote }}
{{- end }}
