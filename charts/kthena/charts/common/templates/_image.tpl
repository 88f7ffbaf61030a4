{{/*
Reference of an image. `global.imageRegistry` replaces the registry's host, which is, as for container runtimes, the part
before the first slash when it has a dot or a port or is localhost. A digest wins over the tag.
Takes: ctx, image (repository, and tag or digest if the user has set one), tag (the default).
*/}}
{{- define "kthena.image" -}}
{{- $repository := .image.repository }}
{{- with .ctx.Values.global.imageRegistry }}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") }}
{{- end }}
{{- if .image.digest -}}
{{ $repository }}@{{ .image.digest }}
{{- else -}}
{{ $repository }}:{{ .image.tag | default .tag }}
{{- end }}
{{- end }}

{{/* Reference of the component's image. Takes: component. */}}
{{- define "kthena.component.image" -}}
{{ include "kthena.image" (dict "ctx" .ctx "image" .values.image "tag" .ctx.Chart.AppVersion) }}
{{- end }}
