{{/*
Deployment of a controller-manager. Takes: component and, beside it,
  controllers  which controllers it runs, as the flag has it
  config       the data of the ConfigMap that they read, if they do
  webhooks     kinds (mutating, validating) of its webhook configurations
*/}}
{{- define "kthena.controllerManager.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "kthena.deployment.metadata" . | nindent 2 }}
spec:
  {{- include "kthena.deployment.settings" . | nindent 2 }}
  template:
    metadata:
      labels:
        {{- include "kthena.podLabels" . | nindent 8 }}
      {{- with include "kthena.podAnnotations" . }}
      annotations:
        {{- . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "kthena.pod.settings" . | nindent 6 }}
      {{- if and .values.webhook.enabled (include "kthena.certgen.enabled" .ctx) }}
      initContainers:
        {{- include "kthena.certgen.webhook" . | nindent 8 }}
      {{- end }}
      containers:
        {{- include "kthena.controllerManager.container" . | nindent 8 }}
      {{- if or .values.webhook.enabled .values.extraVolumes }}
      volumes:
        {{- if .values.webhook.enabled }}
        {{- include "kthena.certificate.volume" (merge (dict "volume" "webhook-certs" "secret" .values.webhook.tls.secretName) .) | nindent 8 }}
        {{- end }}
        {{- with .values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
{{- end }}

{{/* The container of a controller-manager. Takes: as kthena.controllerManager.deployment. */}}
{{- define "kthena.controllerManager.container" -}}
{{- $webhook := .values.webhook -}}
- name: controller-manager
  image: {{ include "kthena.component.image" . }}
  imagePullPolicy: {{ .values.image.pullPolicy }}
  args:
    {{- include "kthena.controllerManager.args" . | nindent 4 }}
  env:
    - name: POD_NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    {{- with .values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .values.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml .values.resources | nindent 4 }}
  securityContext:
    {{- include "kthena.container.securityContext" . | nindent 4 }}
  {{- if $webhook.enabled }}
  ports:
    - name: webhook
      containerPort: {{ $webhook.port }}
      protocol: TCP
  {{- include "kthena.controllerManager.probes" . | nindent 2 }}
  {{- with include "kthena.pod.drain" . }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- if or $webhook.enabled .values.extraVolumeMounts }}
  volumeMounts:
    {{- if $webhook.enabled }}
    - name: webhook-certs
      mountPath: /etc/tls
      readOnly: true
    {{- end }}
    {{- with .values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}

{{/* Probes of a controller-manager, whose only server is the webhook's. Takes: component. */}}
{{- define "kthena.controllerManager.probes" -}}
startupProbe:
  httpGet:
    path: /healthz
    port: webhook
    scheme: HTTPS
  {{- include "kthena.pod.startup" . | nindent 2 }}
readinessProbe:
  httpGet:
    path: /healthz
    port: webhook
    scheme: HTTPS
  {{- toYaml .values.probes.readiness | nindent 2 }}
livenessProbe:
  httpGet:
    path: /healthz
    port: webhook
    scheme: HTTPS
  {{- toYaml .values.probes.liveness | nindent 2 }}
{{- end }}

{{/* Arguments of a controller-manager. Takes: as kthena.controllerManager.deployment. */}}
{{- define "kthena.controllerManager.args" -}}
{{- $webhook := .values.webhook -}}
- --controllers={{ .controllers }}
- --leader-elect={{ include "kthena.several" .values | eq "true" }}
- --kube-api-qps={{ .values.kubeAPIQPS }}
- --kube-api-burst={{ .values.kubeAPIBurst }}
- --v={{ .values.logVerbosity }}
- --debug-port={{ .values.debugPort }}
{{- with .autoscalingSyncPeriodSeconds }}
- --autoscaling-sync-period-seconds={{ . }}
{{- end }}
- --enable-webhook={{ $webhook.enabled }}
{{- if $webhook.enabled }}
- --port={{ $webhook.port }}
- --tls-cert-file=/etc/tls/tls.crt
- --tls-private-key-file=/etc/tls/tls.key
- --service-name={{ include "kthena.webhook.service" .ctx }}
# The program may not read this Secret, so it serves the files and changes nothing.
- --cert-secret-name={{ $webhook.tls.secretName }}
{{- end }}
{{- with .values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
