{{/*
What cert-manager needs to issue one certificate. Without an issuer of the user's it is a chain: a self-signed issuer signs
a CA, the CA signs the certificate. A renewal of the certificate then leaves alone what clients trust.
Takes: component and, beside it,
  certificate  first part of the objects' names, such as registry-webhook
  secret       name of the Secret of the certificate
  dnsNames     list of DNS names
*/}}
{{- define "kthena.certmanager.manifests" -}}
{{- if eq .ctx.Values.global.certManagementMode "cert-manager" -}}
{{- $certManager := .ctx.Values.global.certManager -}}
{{- $issuer := dict "kind" "Issuer" "name" (print .certificate "-ca-issuer") -}}
{{- if $certManager.issuerRef.name -}}
{{- $issuer = $certManager.issuerRef -}}
{{- else -}}
{{ include "kthena.certmanager.ca" . }}
---
{{ end -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "kthena.metadata" (merge (dict "object" (print .certificate "-cert") "annotations" $certManager.annotations) .) | nindent 2 }}
spec:
  secretName: {{ .secret | quote }}
  {{- with include "kthena.certmanager.secretTemplate" .ctx }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with $certManager.additionalOutputFormats }}
  additionalOutputFormats:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $certManager.commonName }}
  commonName: {{ . | quote }}
  {{- end }}
  {{- with $certManager.subject }}
  subject:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  # A common name could not hold a name of more than 64 characters.
  dnsNames:
    {{- toYaml .dnsNames | nindent 4 }}
  duration: {{ $certManager.duration }}
  {{- if include "kthena.seconds" $certManager.renewBefore | int64 }}
  renewBefore: {{ $certManager.renewBefore }}
  {{- end }}
  usages:
    {{- toYaml $certManager.usages | nindent 4 }}
  privateKey:
    algorithm: {{ $certManager.privateKey.algorithm }}
    {{- with $certManager.privateKey.size }}
    size: {{ . }}
    {{- end }}
    rotationPolicy: {{ $certManager.privateKey.rotationPolicy }}
  revisionHistoryLimit: {{ $certManager.revisionHistoryLimit }}
  issuerRef:
    group: {{ $issuer.group | default "cert-manager.io" }}
    kind: {{ $issuer.kind | default "Issuer" }}
    name: {{ $issuer.name | quote }}
{{- end }}
{{- end }}

{{/* The CA that signs a certificate, and the issuers before and behind it. Takes: as kthena.certmanager.manifests. */}}
{{- define "kthena.certmanager.ca" -}}
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  {{- include "kthena.metadata" (merge (dict "object" (print .certificate "-issuer")) .) | nindent 2 }}
spec:
  selfSigned: {}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  {{- include "kthena.metadata" (merge (dict "object" (print .certificate "-ca") "annotations" .ctx.Values.global.certManager.annotations) .) | nindent 2 }}
spec:
  secretName: {{ .certificate }}-ca
  {{- with include "kthena.certmanager.secretTemplate" .ctx }}
  {{- . | nindent 2 }}
  {{- end }}
  isCA: true
  commonName: {{ .certificate }}-ca
  duration: 87600h
  usages:
    - cert sign
    - crl sign
  privateKey:
    algorithm: ECDSA
    size: 256
    # A renewed CA keeps its key: certificates that it signed before stay trusted.
    rotationPolicy: Never
  issuerRef:
    group: cert-manager.io
    kind: Issuer
    name: {{ .certificate }}-issuer
---
apiVersion: cert-manager.io/v1
kind: Issuer
metadata:
  {{- include "kthena.metadata" (merge (dict "object" (print .certificate "-ca-issuer")) .) | nindent 2 }}
spec:
  ca:
    secretName: {{ .certificate }}-ca
{{- end }}

{{/* What cert-manager needs to issue the webhook's certificate. Takes: component. */}}
{{- define "kthena.certmanager.webhook" -}}
{{- $dnsNames := include "kthena.dnsNames" (dict "ctx" .ctx "service" (include "kthena.webhook.service" .ctx)) | splitList "\n" }}
{{- include "kthena.certmanager.manifests" (merge (dict "certificate" (include "kthena.webhook.certificate" .ctx) "secret" .values.webhook.tls.secretName
    "dnsNames" $dnsNames) .) }}
{{- end }}

{{/* What cert-manager writes on a Secret besides the certificate. Takes: ctx. */}}
{{- define "kthena.certmanager.secretTemplate" -}}
{{- $template := dict }}
{{- range $field, $common := dict "labels" .Values.global.commonLabels "annotations" .Values.global.commonAnnotations }}
{{- with merge (dict) (get $.Values.global.certManager.secretTemplate $field | default dict) ($common | default dict) }}
{{- $_ := set $template $field . }}
{{- end }}
{{- end }}
{{- with $template -}}
secretTemplate:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
