{{/* ServiceAccount of the component. Takes: component. */}}
{{- define "kthena.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "kthena.labels" . | nindent 4 }}
{{- end }}

{{/*
Binding of the component's role of the same name to its ServiceAccount.
Takes: component, with kind (Role or ClusterRole) beside it.
*/}}
{{- define "kthena.roleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name }}
  {{- if eq .kind "Role" }}
  namespace: {{ .ctx.Release.Namespace }}
  {{- end }}
  labels:
    {{- include "kthena.labels" . | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ .ctx.Release.Namespace }}
{{- end }}
