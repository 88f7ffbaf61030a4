{{/*
Stops the render at a CA bundle that the API server could not read. Whether a certificate is a CA is left to `kthena-certgen verify`: to
the API server a root without the flag is as good, when it is one of X.509 v1 or the very certificate that is served. Takes: path, caBundle.
*/}}
{{- define "kthena.validate.caBundle" -}}
{{- $hint := "set it to the output of: base64 -w0 ca.crt" }}
{{- if not .caBundle }}
{{- fail (printf "ERROR: %s is required when global.certManagementMode is manual: %s" .path $hint) }}
{{- end }}
{{- if or (not (regexMatch "^[A-Za-z0-9+/]+={0,2}$" .caBundle)) (mod (len .caBundle) 4) }}
{{- fail (printf "ERROR: %s is not base64: %s" .path $hint) }}
{{- end }}
{{- $pem := b64dec .caBundle }}
{{- if contains "PRIVATE KEY-----" $pem }}
{{- fail (printf "ERROR: %s holds a private key, which must stay secret: put in the CA certificate alone and replace the key" .path) }}
{{- end }}
{{- if not (contains "-----BEGIN" $pem) }}
{{- fail (printf "ERROR: %s is not PEM: %s" .path $hint) }}
{{- end }}
{{- if not (include "kthena.caBundle.certificates" $pem | fromJsonArray) }}
{{- $such := "such as when its BEGIN line is indented or has a byte order mark before it" }}
{{- fail (printf "ERROR: %s holds no certificate that the API server would read, %s: %s" .path $such $hint) }}
{{- end }}
{{- end }}

{{/*
The certificates of a bundle that the API server reads, in DER as hexadecimal digits, as a JSON list. A certificate is a sequence (30) of as many
bytes as it says in one (81) or two (82) bytes, and begins with a sequence that begins with a version (a0), unless that is 1, and with
the serial number (02): RFC 5280, 4.1. Takes: the bundle, PEM.
*/}}
{{- define "kthena.caBundle.certificates" -}}
{{- $certificates := list }}
{{- $block := "(?m)^-----BEGIN CERTIFICATE-----[ \\t]*\\r?\\n[A-Za-z0-9+/=\\s]+\\n-----END CERTIFICATE-----[ \\t]*(\\r?\\n|\\z)" }}
{{- range regexFindAll $block . -1 }}
{{- $der := regexReplaceAll "-----[A-Z ]+-----|\\s" . "" | b64dec | printf "%x" }}
{{- if regexMatch "^30(81..|82.{4})30(81..|82.{4})(a0030201..)?02" $der }}
{{- $start := substr 3 4 $der | mul 2 | add 4 | int }}
{{- $length := substr 4 $start $der | printf "0x%s" | int64 | mul 2 }}
{{- if eq (len $der) (add $start $length | int) }}
{{- $certificates = append $certificates $der }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $certificates }}
{{- end }}

{{/*
What in a bundle the API server passes over, or may not trust, in words; nothing when all is well. A certificate says that it is a CA by the extension
basicConstraints: its identifier (06 03 55 1d 13), perhaps critical (01 01 ff), a string (04) with a sequence (30) with TRUE
(01 01 ff): RFC 5280, 4.2.1.9. Takes: path, caBundle.
*/}}
{{- define "kthena.caBundle.warning" -}}
{{- $pem := b64dec .caBundle }}
{{- $certificates := include "kthena.caBundle.certificates" $pem | fromJsonArray }}
{{- $begun := splitList "-----BEGIN CERTIFICATE-----" $pem | rest | len }}
{{- if lt (len $certificates) $begun }}

WARNING: the API server can read {{ len $certificates }} of the {{ $begun }} certificates in {{ .path }}:
BEGIN and END have to start a line, with a whole certificate between them.
{{- end }}
{{- $isCA := false }}
{{- range $certificates }}
{{- $isCA = or $isCA (regexMatch "0603551d13(0101ff)?04..30..0101ff" .) }}
{{- end }}
{{- if not $isCA }}

WARNING: no certificate in {{ .path }} says that it is a CA. The API server trusts it if it is
a root of X.509 v1 or the very certificate that is served, and otherwise refuses every call.
{{- end }}
{{- end }}
