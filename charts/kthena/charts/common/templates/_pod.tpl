{{/* "true" when the component may have more than one pod at a time, besides during a rolling update. Takes: the component's values. */}}
{{- define "kthena.several" -}}
{{- if or .autoscaling.enabled (kindIs "invalid" .replicas) (gt (int .replicas) 1) }}true{{ end }}
{{- end }}

{{/*
The part of a Deployment's spec before the pod. Without a number of replicas the API server keeps the one that an autoscaler has set.
Takes: component.
*/}}
{{- define "kthena.deployment.settings" -}}
{{- if not (or .values.autoscaling.enabled (kindIs "invalid" .values.replicas)) -}}
replicas: {{ .values.replicas }}
{{ end -}}
# A new pod is ready before an old one goes: an admission webhook must never be without an endpoint.
strategy:
  type: RollingUpdate
  rollingUpdate:
    maxSurge: 1
    maxUnavailable: 0
selector:
  matchLabels:
    {{- include "kthena.selectorLabels" . | nindent 4 }}
{{- end }}

{{/*
The part of a pod's spec that is the same for all components. `podSpec` comes last and holds none of these fields: kthena.validate.pod
sees to that. Takes: component.
*/}}
{{- define "kthena.pod.settings" -}}
serviceAccountName: {{ include "kthena.serviceAccount.name" . | quote }}
securityContext:
  {{- include "kthena.pod.securityContext" . | nindent 2 }}
{{- with .ctx.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- else }}
{{- if include "kthena.several" .values }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "kthena.selectorLabels" . | nindent 14 }}
{{- end }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds | default (add .values.preStopSeconds 30) }}
{{- with .values.podSpec }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Security context of a pod: that of the component, or of the pods that run certgen alone. All images run as 65532; as the group of the
volumes it lets the server read what the init container, or the kubelet, has written. OpenShift gives each namespace a range of its own
for these numbers, and refuses a pod that names others. Takes: component, or ctx.
*/}}
{{- define "kthena.pod.securityContext" -}}
{{- $root := .ctx | default . }}
{{- $own := dig "podSecurityContext" $root.Values.global.certgen.podSecurityContext (.values | default dict) | default dict }}
{{- toYaml (ternary (omit $own "runAsUser" "runAsGroup" "fsGroup") $own $root.Values.global.openshift) }}
{{- end }}

{{/* Security context of a container: as kthena.pod.securityContext. */}}
{{- define "kthena.container.securityContext" -}}
{{- $root := .ctx | default . }}
{{- dig "securityContext" $root.Values.global.certgen.securityContext (.values | default dict) | default dict | toYaml }}
{{- end }}

{{/*
Lifecycle of a container that serves: it goes on serving until every node and API server has stopped sending to it. The
kubelet sleeps, because the image has no shell. Takes: component.
*/}}
{{- define "kthena.pod.drain" -}}
{{- with .values.preStopSeconds -}}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
{{- end }}

{{/*
Times of a startup probe. In cert-manager mode the Certificate's Secret reaches a new pod and cert-manager's CA injector in the same
moment, and the API server must trust the pod before it is ready: so it is asked two seconds later. Takes: component.
*/}}
{{- define "kthena.pod.startup" -}}
{{- if and .values.webhook.enabled (eq .ctx.Values.global.certManagementMode "cert-manager") -}}
initialDelaySeconds: 2
{{ end -}}
{{ toYaml .values.probes.startup }}
{{- end }}
