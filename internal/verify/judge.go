package verify

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// judge compares what an entry trusts with what its server's endpoints serve. An entry that trusts none of them is at
// fault itself; a pod that alone is not trusted is.
func (v *Verifier) judge(e *entry) {
	s := e.server
	if len(e.cas) == 0 || len(s.served) == 0 {
		v.judgeCall(e)
		return
	}
	var until *time.Time
	refused := map[Code][]served{}
	details := map[Code]string{}
	for _, shown := range s.served {
		o := OutcomeOf(shown.chain, e.cas, s.name(v), v.now())
		if o.Code != "" {
			refused[o.Code] = append(refused[o.Code], shown)
			details[o.Code] = o.Detail
			continue
		}
		if until == nil || o.NotAfter.Before(*until) {
			until = &o.NotAfter
		}
	}
	for code, shown := range refused {
		switch {
		case code == Untrusted && len(shown) == len(s.served):
			if !e.broken {
				v.find(code, e.object(), v.trustRemedy(e.component), "no CA in its caBundle (%s) has signed the certificate %s that Service "+
					"%s serves%s",
					fingerprints(e.cas), short(shown[0].chain[0]), s.Name, s.from(shown[0].chain[0]))
			}
		case len(shown) == len(s.served):
			v.find(code, s.object(v), v.renewRemedy(s), "the certificate %s that it serves %s", short(shown[0].chain[0]), details[code])
		default:
			for _, one := range shown {
				v.find(
					code, one.endpoint.object(v), v.podRemedy(one.endpoint), "the certificate %s that it serves behind Service %s %s", short(one.chain[0]),
					s.Name, details[code],
				)
			}
		}
		e.broken = true
	}
	if len(refused) == 0 {
		e.NotAfter = until
	}
	v.judgeCall(e)
}

// judgeCall reports a call that failed for a reason that nothing else explains.
func (v *Verifier) judgeCall(e *entry) {
	if e.failure == "" {
		return
	}
	e.Admission = Failed
	switch {
	case e.broken:
	case len(e.server.served) > 0 && unreached(e.failure):
		v.find(CallFailed, e.object(), fmt.Sprintf("kubectl get networkpolicies --namespace %s", v.Namespace),
			"the API server cannot reach it at Service %s, whose pods answer here, so a network policy or a firewall may be between them: %s",
			e.Server, e.failure)
	default:
		v.find(CallFailed, e.object(), v.logsRemedy(e.component), "the API server cannot call it at Service %s: %s", e.Server, e.failure)
	}
}

// unreached reports whether a call failed before the webhook got it, by the words of Go's net package and of the
// API server's own network proxy.
func unreached(failure string) bool {
	return slices.ContainsFunc([]string{
		"connection refused", "i/o timeout", "no route to host", "dial tcp", "proxy error", ": EOF",
	}, func(text string) bool {
		return strings.Contains(failure, text)
	})
}

// judgeServer looks at a server by itself: how long it will do, and whether its pods serve what the Secret holds.
func (v *Verifier) judgeServer(s *server, entries []*entry) {
	v.judgeRouter(s)
	refused := v.judgeSecret(s)
	if !refused {
		v.judgeStale(s)
	}
	v.judgeLife(s, entries)
}

// judgeStale finds the pods that serve another certificate than the Secret holds: once for all of them, since one restart of their
// Deployment helps all.
func (v *Verifier) judgeStale(s *server) {
	if !s.checked.OK() || s.checked.Leaf == nil {
		return
	}
	var pods, certs []string
	for _, shown := range s.served {
		if leaf := shown.chain[0]; !leaf.Equal(s.checked.Leaf) && !s.untrusted(v, shown) {
			pods = append(pods, shown.endpoint.name())
			certs = append(certs, short(leaf))
		}
	}
	if len(pods) == 0 {
		return
	}
	slices.Sort(certs)
	roller := ""
	if v.controller != "" {
		roller = "; controller " + v.controller + " rolls them as soon as it may; where it may not, an Event on the Secret says why"
	}
	v.find(Stale, "Deployment "+v.Namespace+"/"+s.Deployment, v.restartRemedy(s.Deployment),
		"%d of %d ready pods behind Service %s serve another certificate (%s) than Secret %s holds (%s), since they started before it "+
			"changed: %s%s",
		len(pods), len(s.served), s.Name, strings.Join(slices.Compact(certs), ", "), s.Secret.Name, short(s.checked.Leaf), someOf(pods), roller)
}

// maxNamed is how many pods a finding names.
const maxNamed = 10

// someOf names things for a sentence, the first of them where there are many.
func someOf(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

// untrusted reports whether an entry, or a client of the router, refuses what an endpoint serves.
func (s *server) untrusted(v *Verifier, shown served) bool {
	for _, e := range s.entries {
		if OutcomeOf(shown.chain, e.cas, s.name(v), v.now()).Code != "" {
			return true
		}
	}
	return len(s.entries) == 0 && OutcomeOf(shown.chain, s.checked.CAs, "", v.now()).Code != ""
}

// judgeSecret reports whether the API server will refuse the certificate of the Secret when pods start to serve it. In auto
// mode a pod that starts makes the API server trust it first.
func (v *Verifier) judgeSecret(s *server) (refused bool) {
	if v.report.Mode == Auto || !s.checked.OK() || s.checked.Leaf == nil {
		return false
	}
	for _, shown := range s.served {
		if shown.chain[0].Equal(s.checked.Leaf) {
			return false // it is served, and judged as such
		}
	}
	for _, e := range s.entries {
		if len(e.cas) > 0 && OutcomeOf(s.checked.Chain, e.cas, s.name(v), v.now()).Code == Untrusted {
			v.find(
				SecretUntrusted, "Secret "+v.Namespace+"/"+s.Secret.Name, v.trustRemedy(s.Deployment),
				"its certificate %s was signed by no CA in the caBundle of %s (%s)", short(s.checked.Leaf), e.Name, fingerprints(e.cas),
			)
			refused = true
		}
	}
	return refused
}

// judgeLife finds certificates that end soon: once for each, with all that serve it.
func (v *Verifier) judgeLife(s *server, entries []*entry) {
	ends := map[string]bool{}
	tell := func(object string, leaf *x509.Certificate, end time.Time) {
		if key := leaf.SerialNumber.String(); !ends[key] && v.soon(leaf, end) {
			ends[key] = true
			remedy := v.renewRemedy(s)
			if s.checked.Leaf != nil && leaf.Equal(s.checked.Leaf) {
				remedy = v.replaceRemedy(s)
			}
			v.find(
				ExpiresSoon, object, remedy, "the certificate %s of Service %s stops being trusted on %s: %s are left", short(leaf), s.Name, date(end),
				left(end.Sub(v.now())),
			)
		}
	}
	for _, shown := range s.served {
		for _, e := range entries {
			if e.server != s {
				continue
			}
			if o := OutcomeOf(shown.chain, e.cas, s.name(v), v.now()); o.Code == "" {
				tell(s.holder(v, shown), shown.chain[0], o.NotAfter)
			}
		}
		if len(s.entries) == 0 {
			if o := OutcomeOf(shown.chain, s.checked.CAs, "", v.now()); o.Code == "" {
				tell(s.holder(v, shown), shown.chain[0], o.NotAfter)
			}
		}
	}
	if s.checked.OK() && s.checked.Leaf != nil {
		tell("Secret "+v.Namespace+"/"+s.Secret.Name, s.checked.Leaf, s.checked.NotAfter)
	}
}

// holder is what a certificate that is served comes from: the Secret, or a pod that goes on with an older one.
func (s *server) holder(v *Verifier, shown served) string {
	if s.checked.Leaf != nil && shown.chain[0].Equal(s.checked.Leaf) {
		return "Secret " + v.Namespace + "/" + s.Secret.Name
	}
	return shown.endpoint.object(v)
}

// from names the Secret that holds a certificate, for a sentence about it.
func (s *server) from(leaf *x509.Certificate) string {
	if s.checked.Leaf != nil && leaf.Equal(s.checked.Leaf) {
		return " from Secret " + s.Secret.Name
	}
	return ""
}

// fingerprints are short forms of those of certs.
func fingerprints(certs []*x509.Certificate) string {
	texts := make([]string, 0, len(certs))
	for _, c := range certs {
		texts = append(texts, short(c))
	}
	return strings.Join(texts, ", ")
}
