{{/* Entries of kthena-registry-mutating-webhook. Takes: component. */}}
{{- define "kthena.registry.mutatingWebhooks" -}}
- name: mutate-modelbooster.workload.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/mutate/modelbooster" "reinvocationPolicy" .values.webhook.reinvocationPolicy) .) | nindent 2 }}
  rules:
    - apiGroups: [workload.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [modelboosters]
      operations: [CREATE, UPDATE]
      scope: Namespaced
- name: mutate-autoscalingpolicy.workload.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/mutate/autoscalingpolicy"
      "reinvocationPolicy" .values.webhook.reinvocationPolicy) .) | nindent 2 }}
  rules:
    - apiGroups: [workload.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [autoscalingpolicies]
      operations: [CREATE, UPDATE]
      scope: Namespaced
{{- end }}

{{/* Entries of kthena-registry-validating-webhook. Takes: component. */}}
{{- define "kthena.registry.validatingWebhooks" -}}
- name: validate-modelbooster.workload.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/validate/modelbooster") .) | nindent 2 }}
  rules:
    - apiGroups: [workload.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [modelboosters]
      operations: [CREATE, UPDATE]
      scope: Namespaced
- name: validate-autoscalingpolicy.workload.serving.volcano.sh
  {{- include "kthena.webhook.settings" (merge (dict "path" "/validate/autoscalingpolicy") .) | nindent 2 }}
  rules:
    - apiGroups: [workload.serving.volcano.sh]
      apiVersions: [v1alpha1]
      resources: [autoscalingpolicies]
      operations: [CREATE, UPDATE]
      scope: Namespaced
{{- end }}

{{/* All entries, for a checksum. Takes: component. */}}
{{- define "kthena.registry.webhooks" -}}
{{ include "kthena.registry.mutatingWebhooks" . }}
{{ include "kthena.registry.validatingWebhooks" . }}
{{- end }}
