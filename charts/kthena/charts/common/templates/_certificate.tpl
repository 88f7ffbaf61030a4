{{/*
Item of volumes for a certificate: what certgen writes, which never reaches a disk, or a Secret. The pod waits for a
Secret that is not there yet. The server finds the same files in either. Takes: component and, beside it,
  volume  name of the volume
  secret  name of the Secret in the values
*/}}
{{- define "kthena.certificate.volume" -}}
- name: {{ .volume }}
{{- if include "kthena.certgen.enabled" .ctx }}
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- else }}
  secret:
    secretName: {{ .secret | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}
