{{/* Pull secrets, and where the component's pods may run. Takes: component. */}}
{{- define "kthena.pod.placement" -}}
{{- with .ctx.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Security context of a pod. All images run as 65532; as the group of the volumes it lets the server read what the init
container, or the kubelet, has written. Takes: nothing.
*/}}
{{- define "kthena.pod.securityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Security context of a container. Takes: nothing. */}}
{{- define "kthena.container.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{/*
Pod annotations: the user's, and a checksum of the webhook entries. An upgrade that adds an entry then replaces the pods,
and the new ones give the entry its CA. Takes: component, with webhooks (the rendered entries) beside it.
*/}}
{{- define "kthena.podAnnotations" -}}
{{- $own := dict }}
{{- with .webhooks }}
{{- $_ := set $own "checksum/webhooks" (sha256sum .) }}
{{- end }}
{{- with merge $own .values.podAnnotations }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/*
Probes with the periods of all components: a start may take a minute, readiness gives up after 4 s and liveness, which
restarts the container, after 30 s. Takes: startup, liveness and readiness, what each of them checks.
*/}}
{{- define "kthena.pod.probes" -}}
startupProbe:
  {{- toYaml .startup | nindent 2 }}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  {{- toYaml .readiness | nindent 2 }}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  {{- toYaml .liveness | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/*
Lifecycle of a container that serves: it goes on serving until every node and API server has stopped sending to it. The
kubelet sleeps, because the image has no shell. Takes: nothing.
*/}}
{{- define "kthena.pod.drain" -}}
preStop:
  sleep:
    seconds: 5
{{- end }}
