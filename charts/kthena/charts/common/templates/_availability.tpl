{{/* PodDisruptionBudget of the component, when asked for. Takes: component. */}}
{{- define "kthena.podDisruptionBudget" -}}
{{- if .values.podDisruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "kthena.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "kthena.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/*
NetworkPolicy of the component, when asked for. It is meant for namespaces that deny everything else.
Callers are not limited: the API server is no pod, its address differs from cluster to cluster, and the router is there
to be called. Egress is open: certgen and the controllers need the API server, whose address a policy cannot know, and
the router calls models that run in any namespace.
Takes: component, with ports (list of port names) beside it, if any is called.
*/}}
{{- define "kthena.networkPolicy" -}}
{{- if .values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .ctx.Release.Namespace }}
  labels:
    {{- include "kthena.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "kthena.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with .ports }}
  ingress:
    - ports:
        {{- range . }}
        - port: {{ . }}
          protocol: TCP
        {{- end }}
  {{- end }}
  egress:
    - {}
{{- end }}
{{- end }}
