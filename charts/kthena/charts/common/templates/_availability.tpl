{{/* PodDisruptionBudget of the component, when asked for. Takes: component. */}}
{{- define "kthena.podDisruptionBudget" -}}
{{- $budget := .values.podDisruptionBudget }}
{{- if $budget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "kthena.metadata" . | nindent 2 }}
spec:
  {{- if $budget.minAvailable }}
  minAvailable: {{ $budget.minAvailable }}
  {{- else }}
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "kthena.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* HorizontalPodAutoscaler of the component, when asked for. Takes: component. */}}
{{- define "kthena.autoscaler" -}}
{{- $autoscaling := .values.autoscaling }}
{{- if $autoscaling.enabled -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "kthena.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ .name }}
  minReplicas: {{ $autoscaling.minReplicas }}
  maxReplicas: {{ $autoscaling.maxReplicas }}
  metrics:
    {{- toYaml $autoscaling.metrics | nindent 4 }}
  {{- with $autoscaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
NetworkPolicy of the component, when asked for. It is meant for namespaces that deny everything else.
Callers are not limited: the API server is no pod, its address differs from cluster to cluster, and the router is there
to be called. Egress is open: certgen and the controllers need the API server, whose address a policy cannot know, and
the router calls models that run in any namespace.
Takes: component, with ports (list of port names) beside it, if any is called, or allPorts, true when they are not known.
*/}}
{{- define "kthena.networkPolicy" -}}
{{- if .values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "kthena.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "kthena.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- if .allPorts }}
  ingress:
    - {}
  {{- else if .ports }}
  ingress:
    - ports:
        {{- range .ports }}
        - port: {{ . }}
          protocol: TCP
        {{- end }}
  {{- end }}
  egress:
    - {}
{{- end }}
{{- end }}
