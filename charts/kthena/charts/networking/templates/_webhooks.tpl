{{/* Entries of kthena-networking-validating-webhook. Takes: component. */}}
{{- define "kthena.networking.webhooks" -}}
- name: validate-modelroute.networking.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/validate/modelroute") .) | nindent 2 }}
  rules:
    - apiGroups: [networking.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [modelroutes]
      operations: [CREATE, UPDATE]
      scope: Namespaced
- name: validate-modelserver.networking.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/validate/modelserver") .) | nindent 2 }}
  rules:
    - apiGroups: [networking.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [modelservers]
      operations: [CREATE, UPDATE]
      scope: Namespaced
{{- if .values.externalModelProvider.enabled }}
- name: validate-externalmodelprovider.networking.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/validate/externalmodelprovider") .) | nindent 2 }}
  rules:
    - apiGroups: [networking.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [externalmodelproviders]
      operations: [CREATE, UPDATE]
      scope: Namespaced
{{- end }}
{{- end }}
