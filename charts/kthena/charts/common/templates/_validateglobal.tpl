{{/* Stops the render at global values that cannot work, with one line that says what is allowed. Takes: ctx. */}}
{{- define "kthena.validate.global" -}}
{{- $global := .Values.global }}
{{- include "kthena.validate.life" (dict "path" "global.certgen" "name" "validity" "life" $global.certgen.validity "renewBefore" $global.certgen.renewBefore) }}
{{- include "kthena.validate.life" (dict "path" "global.certManager" "name" "duration" "life" $global.certManager.duration
    "renewBefore" $global.certManager.renewBefore) }}
{{- range $name := list "settle" "retireAfter" "warnWithin" }}
{{- include "kthena.validate.duration" (dict "path" "global.certgen.controller" "name" $name "duration" (get $global.certgen.controller $name)) }}
{{- end }}
{{- include "kthena.validate.duration" (dict "path" "global.certgen" "name" "timeout" "duration" $global.certgen.timeout) }}
{{- if not (include "kthena.seconds" $global.certgen.timeout | int64) }}
{{- fail "ERROR: global.certgen.timeout is less than 1s: give a pod's start the time to make a certificate, such as 2m" }}
{{- end }}
{{- include "kthena.validate.key" (dict "path" "global.certgen" "key" $global.certgen.privateKey "ECDSA" (list "256" "384")) }}
{{- include "kthena.validate.key" (dict "path" "global.certManager" "key" $global.certManager.privateKey "ECDSA" (list "256" "384" "521")) }}
{{- range $label := keys ($global.commonLabels | default dict) | sortAlpha }}
{{- if or (hasPrefix "app.kubernetes.io/" $label) (eq $label "helm.sh/chart") }}
{{- fail (printf "ERROR: global.commonLabels has %s, which the chart sets: use labels other than app.kubernetes.io/... and helm.sh/chart" $label) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Stops the render at a duration that kthena-certgen would refuse: one above a hundred years. Takes: path, name (of the value), duration. */}}
{{- define "kthena.validate.duration" -}}
{{- if gt (include "kthena.seconds" .duration | int64) 3153600000 }}
{{- fail (printf "ERROR: %s.%s is %s: the longest is 876000h, a hundred years" .path .name .duration) }}
{{- end }}
{{- end }}

{{/* Stops the render when a certificate would never be renewed, or always. Takes: path, name (of the value), life, renewBefore. */}}
{{- define "kthena.validate.life" -}}
{{- $life := include "kthena.seconds" .life | int64 }}
{{- include "kthena.validate.duration" (dict "path" .path "name" .name "duration" .life) }}
{{- if lt $life 3600 }}
{{- fail (printf "ERROR: %s.%s is %s: a certificate lives 1h or longer" .path .name .life) }}
{{- end }}
{{- if ge (include "kthena.seconds" .renewBefore | int64) $life }}
{{- fail (printf "ERROR: %[1]s.renewBefore is %[2]s and %[1]s.%[3]s %[4]s: renew when less is left than the whole life, or set 0s for a third of it"
    .path .renewBefore .name .life) }}
{{- end }}
{{- end }}

{{/* Stops the render at a size that the algorithm has not. Takes: path, key (algorithm, size), ECDSA (sizes of such keys). */}}
{{- define "kthena.validate.key" -}}
{{- $sizes := get (dict "ECDSA" .ECDSA "RSA" (list "2048" "3072" "4096") "Ed25519" list) .key.algorithm }}
{{- $size := .key.size | int | toString }}
{{- if not (has $size (append $sizes "0")) }}
{{- fail (printf "ERROR: %s.privateKey.size is %s and the algorithm %s: use %s" .path $size .key.algorithm (append $sizes "0 for the default" | join ", ")) }}
{{- end }}
{{- end }}

{{/* Seconds in a duration such as 1h30m. Takes: the duration. */}}
{{- define "kthena.seconds" -}}
{{- $seconds := 0 }}
{{- range regexFindAll "[0-9.]+[hms]" . -1 }}
{{- $number := regexFind "[0-9.]+" . }}
{{- $seconds = addf $seconds (mulf $number (get (dict "h" 3600 "m" 60 "s" 1) (trimPrefix $number .))) }}
{{- end }}
{{- int64 $seconds }}
{{- end }}

{{/*
Stops the render at a key that is nearly one of the chart's own and so may be meant for it. Others pass: a chart that has this one as a dependency, Rancher
and Fleet keep values of theirs in the same place. Takes: global.
*/}}
{{- define "kthena.validate.globalKeys" -}}
{{- $own := list "admissionPolicies" "certManagementMode" "certManager" "certgen" "clusterDomain" "commonAnnotations" "commonLabels"
    "extraObjects" "helmTest" }}
{{- $own = concat $own (list "imagePullSecrets" "imageRegistry" "openshift" "rbac" "requireCRDs" "webhook") }}
{{- $spellings := dict }}
{{- range $key := keys . | sortAlpha }}
{{- if not (has $key $own) }}
{{- if not $spellings }}
{{- range $known := $own }}
{{- range include "kthena.spellings" $known | splitList " " }}
{{- $_ := set $spellings . $known }}
{{- end }}
{{- end }}
{{- end }}
{{- range include "kthena.spellings" $key | splitList " " }}
{{- with get $spellings . }}
{{- fail (printf "ERROR: global.%s is no value of this chart: use global.%s; keys that are not so close to it may be another chart's" $key .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
A word and all that is left of it without one letter, in lower case, with spaces between them. Two words that share one of these differ by a
letter that is missing, that is another, or that has changed places. Takes: the word.
*/}}
{{- define "kthena.spellings" -}}
{{- $word := lower . -}}
{{ $word }}
{{- range $i := until (len $word) }} {{ substr 0 $i $word }}{{ substr (add1 $i | int) (len $word) $word }}{{ end }}
{{- end }}
