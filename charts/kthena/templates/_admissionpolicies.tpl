{{/*
CEL that says whether a request comes from one of the release's service accounts. It is the match condition of every policy, so that
nobody else's request is judged. Takes: ctx, accounts (list of names).
*/}}
{{- define "kthena.policy.from" -}}
{{- $users := list -}}
{{- range .accounts }}
{{- $users = append $users (printf "'system:serviceaccount:%s:%s'" $.ctx.Release.Namespace .) }}
{{- end -}}
request.userInfo.username in [{{ join ", " $users }}]
{{- end }}

{{/*
CEL that says whether two maps hold the same, whatever they hold under some keys. It goes over what is there instead of naming fields, so
that one which Kubernetes adds tomorrow is guarded, too; that takes values of the type dyn.
Takes: a, b (expressions), but (list of keys).
*/}}
{{- define "kthena.policy.same" -}}
{{- $but := printf "['%s']" (join "', '" .but) -}}
{{ .a }}.all(k, k in {{ $but }} || k in {{ .b }} && {{ .a }}[k] == {{ .b }}[k]) && {{ .b }}.all(k, k in {{ $but }} || k in {{ .a }})
{{- end }}

{{/*
CEL that says whether two maps hold the same, whatever they hold under keys with a prefix; the first may hold what is common, too. Takes: a, b
(expressions), prefix, common (a map).
*/}}
{{- define "kthena.policy.others" -}}
{{ .a }}.all(k, k.startsWith('{{ .prefix }}')
{{- range $key, $value := .common }} || k == {{ toJson $key }} && {{ $.a }}[k] == {{ toString $value | toJson }}
{{- end }} || k in {{ .b }} && {{ .a }}[k] == {{ .b }}[k]) && {{ .b }}.all(k, k.startsWith('{{ .prefix }}') || k in {{ .a }})
{{- end }}

{{/*
CEL that says whether a map holds nothing but what another one holds, though it may have lost keys at the levels of a path.
Takes: a, b (expressions), path (list of keys; a star is any).
*/}}
{{- define "kthena.policy.within" -}}
{{- $k := printf "k%d" (len .path) -}}
{{ .a }}.all({{ $k }}, {{ $k }} in {{ .b }} && ({{ .a }}[{{ $k }}] == {{ .b }}[{{ $k }}]
{{- with .path }} || {{ if ne (first .) "*" }}{{ $k }} == '{{ first . }}' && {{ end }}
{{- include "kthena.policy.within" (dict "a" (printf "%s[%s]" $.a $k) "b" (printf "%s[%s]" $.b $k) "path" (rest .)) }}
{{- end }}))
{{- end }}

{{/*
CEL that says whether an update leaves the owners of fields as they are, except that kthena-certgen owns what it writes and others lose that.
Whoever applies takes away what it is recorded to own and no longer has, so a wrong owner would have it take away what others have set.
Takes: path (list of keys) of what kthena-certgen writes among the fields.
*/}}
{{- define "kthena.policy.owners" -}}
variables.is.metadata.?managedFields.orValue([]).all(n, n.operation == 'Update' && n.manager in ['kthena-certgen', 'ancient-changes']
|| variables.was.metadata.?managedFields.orValue([]).exists(o, o.manager == n.manager && o.operation == n.operation
&& o.?subresource == n.?subresource && {{ include "kthena.policy.within" (dict "a" "n.fieldsV1" "b" "o.fieldsV1" "path" .path) }}))
{{- end }}

{{/* What the API server itself changes in the metadata of an object that is updated. Takes: nothing. */}}
{{- define "kthena.policy.bookkeeping" -}}
[generation, managedFields, resourceVersion]
{{- end }}

{{/* Metadata of a policy or a binding. Takes: ctx, name. */}}
{{- define "kthena.policy.metadata" -}}
{{- include "kthena.metadata" (dict "ctx" .ctx "name" "kthena" "object" .name "clusterWide" true) }}
{{- end }}

{{/* Binding of a policy, which has its name: it holds in the whole cluster, for whom the policy matches. Takes: ctx, name. */}}
{{- define "kthena.policy.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  {{- include "kthena.policy.metadata" . | nindent 2 }}
spec:
  policyName: {{ .name }}
  validationActions: [Deny]
{{- end }}

{{/*
The Secrets of each account's certificates, in auto mode and in the others, as JSON: accounts to lists of names, without those that have
none. The controller has all. Takes: kthena.facts.
*/}}
{{- define "kthena.policy.secrets" -}}
{{- $accounts := dict }}
{{- range $component := .components }}
{{- range $certificate := .certificates }}
{{- range $account := list $component.account "kthena-certgen" }}
{{- $names := get $accounts $account | default list }}
{{- $_ := set $accounts $account (concat $names (list $certificate.secretName (print $certificate.secretName "-auto"))) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $accounts }}
{{- end }}
