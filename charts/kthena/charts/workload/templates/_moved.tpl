{{/* Values of Kthena's own chart v1.0.0 that have another place here, below workload.controllerManager. Takes: nothing. */}}
{{- define "kthena.workload.moved" -}}
controllers: registry.enabled and workload.enabled say which controllers run
downloader: the Secret downloader-secrets is yours, since a release record would hold its keys; docs/moving-from-kthena.md says how it is kept
downloaderImage: use registry.controllerManager.downloaderImage
image.args: use workload.controllerManager.extraArgs, or logVerbosity for --v
resource: use workload.controllerManager.resources
runtimeImage: use registry.controllerManager.runtimeImage
webhook.tls.certSecretName: use workload.controllerManager.webhook.tls.secretName
webhook.tls.serviceName: the Service is workload-webhook, remove the value
{{- end }}
