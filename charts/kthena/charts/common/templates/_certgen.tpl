{{/*
Annotation of a webhook configuration that certgen keeps, with the checksum of the component's entries. Helm applies
Deployments first: a new pod's certgen could give the entries its CA just before Helm adds another one, or removes the bundle of
another mode. Helm changes the annotation in that same request, and certgen waits for it. Takes: nothing.
*/}}
{{- define "kthena.certgen.annotation" -}}
certgen.kthena.volcano.sh/webhooks
{{- end }}

{{/*
Item of initContainers that makes sure of a certificate in auto mode: it ensures the Secret, puts its CA into the webhook
configurations and writes the files. Its settings are arguments, so that they are seen in the pod. The Secret has no label
app.kubernetes.io/instance: an Argo CD that tracks by label deletes what carries it and is not rendered.
Takes: component and, beside it,
  container  name of the container
  secret     name of the Secret in the values
  dnsNames   list of DNS names
  webhooks   kinds (mutating, validating) of the component's webhook configurations, if they are to trust the certificate
  volume     name of the volume for the files
*/}}
{{- define "kthena.certgen.container" -}}
{{- $certgen := .ctx.Values.global.certgen -}}
- name: {{ .container }}
  image: {{ include "kthena.image" (dict "ctx" .ctx "image" $certgen.image "tag" (printf "v%s" .ctx.Chart.Version)) }}
  imagePullPolicy: {{ $certgen.image.pullPolicy }}
  args:
    - bootstrap
    - --namespace={{ .ctx.Release.Namespace }}
    - --secret-name={{ include "kthena.secret" . }}
    {{- range .dnsNames }}
    - --dns-name={{ . }}
    {{- end }}
    {{- range .webhooks }}
    - --{{ . }}-webhook-configuration={{ include "kthena.webhook.configuration" (dict "ctx" $.ctx "kind" .) }}
    {{- end }}
    {{- if .webhooks }}
    - --await-annotation={{ include "kthena.certgen.annotation" . }}={{ include "kthena.webhook.checksum" . }}
    {{- if .ctx.Values.global.certgen.controller.enabled }}
    - --webhook-patience=15s
    {{- end }}
    {{- end }}
    - --output-dir=/certs
    - --validity={{ $certgen.validity }}
    - --renew-before={{ $certgen.renewBefore }}
    - --key-algorithm={{ $certgen.privateKey.algorithm }}
    - --key-size={{ $certgen.privateKey.size }}
    - --timeout={{ $certgen.timeout }}
    - --label=app.kubernetes.io/part-of=kthena
    - --label=app.kubernetes.io/component={{ .name }}
    {{- range $key, $value := .ctx.Values.global.commonLabels }}
    - {{ printf "--label=%s=%s" $key $value | quote }}
    {{- end }}
    {{- range $key, $value := .ctx.Values.global.commonAnnotations }}
    - {{ printf "--annotation=%s=%s" $key $value | quote }}
    {{- end }}
  {{- with $certgen.extraEnv }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml $certgen.resources | nindent 4 }}
  securityContext:
    {{- include "kthena.container.securityContext" . | nindent 4 }}
  volumeMounts:
    - name: {{ .volume }}
      mountPath: /certs
{{- end }}

{{/* Whether certgen makes the certificates: "true" or nothing. Takes: ctx. */}}
{{- define "kthena.certgen.enabled" -}}
{{- if eq .Values.global.certManagementMode "auto" }}true{{ end }}
{{- end }}

{{/*
Item of initContainers for the webhook's certificate. Takes: component, with webhooks (kinds of its webhook configurations) beside it.
*/}}
{{- define "kthena.certgen.webhook" -}}
{{- $dnsNames := include "kthena.dnsNames" (dict "ctx" .ctx "service" (include "kthena.webhook.service" .ctx)) | splitList "\n" }}
{{- $secret := .values.webhook.tls.secretName }}
{{- include "kthena.certgen.container" (merge (dict "container" "certgen" "secret" $secret "dnsNames" $dnsNames "volume" "webhook-certs") .) }}
{{- end }}

{{/*
Rules for the Secrets that certgen keeps in the namespace, and for the Events in which it tells what it did to them. The API
cannot limit `create` to a name.
Takes: secrets, the list of their names.
*/}}
{{- define "kthena.certgen.secretRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    {{- toYaml .secrets | nindent 4 }}
  verbs: [get, update, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/*
Rules for the webhook configurations whose CA certgen keeps. Takes: ctx, and webhooks, the kinds of the subchart's configurations.
*/}}
{{- define "kthena.certgen.webhookRules" -}}
{{- range .webhooks }}
- apiGroups: [admissionregistration.k8s.io]
  resources: [{{ . }}webhookconfigurations]
  resourceNames:
    - {{ include "kthena.webhook.configuration" (dict "ctx" $.ctx "kind" .) }}
  verbs: [get, patch]
{{- end }}
{{- end }}
