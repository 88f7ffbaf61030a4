{{/* Entries of kthena-workload-validating-webhook. Takes: component. */}}
{{- define "kthena.workload.webhooks" -}}
- name: validate-modelserving.workload.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/validate-workload-ai-v1alpha1-modelserving") .) | nindent 2 }}
  rules:
    - apiGroups: [workload.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [modelservings]
      operations: [CREATE, UPDATE]
      scope: Namespaced
{{- end }}
