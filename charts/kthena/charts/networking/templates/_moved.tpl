{{/* Values of Kthena's own chart v1.0.0 that have another place here, below networking.kthenaRouter. Takes: nothing. */}}
{{- define "kthena.networking.moved" -}}
resource: use networking.kthenaRouter.resources
webhook.servicePort: the port of the Service is 443, remove the value
webhook.tls.certFile: the chart mounts the file, remove the value
webhook.tls.keyFile: the chart mounts the file, remove the value
webhook.tls.serviceName: the Service is networking-webhook, remove the value
{{- end }}
