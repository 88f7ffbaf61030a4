package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
)

// issuer is a CA whose certificates may differ in their lives.
type issuer struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return &issuer{t, key}
}

// cert is a certificate of the CA's own, or of a server, which is valid for so long from an hour ago.
func (i *issuer) cert(isCA bool, left time.Duration, change func(*x509.Certificate)) *x509.Certificate {
	i.t.Helper()
	ca := &x509.Certificate{
		Subject: pkix.Name{CommonName: "CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(left),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	c := ca
	if !isCA {
		c = &x509.Certificate{
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(left), DNSNames: []string{"a"},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
	}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, i.key.Public(), i.key)
	require.NoError(i.t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(i.t, err)
	return parsed
}

func TestAChainIsGoodUntilTheEndOfItsLongestPath(t *testing.T) {
	t.Parallel()
	type certs = []*x509.Certificate
	ca := newIssuer(t)
	leaf := ca.cert(false, 50*time.Hour, nil)
	for name, c := range map[string]struct {
		cas  certs
		want time.Duration
	}{
		"which is the certificate's": {certs{ca.cert(true, 100*time.Hour, nil)}, 50 * time.Hour},
		"which is its CA's":          {certs{ca.cert(true, 20*time.Hour, nil)}, 20 * time.Hour},
		"by the longer of two CAs":   {certs{ca.cert(true, 20*time.Hour, nil), ca.cert(true, 30*time.Hour, nil)}, 30 * time.Hour},
		"in whatever order they are": {certs{ca.cert(true, 30*time.Hour, nil), ca.cert(true, 20*time.Hour, nil)}, 30 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, Outcome{NotAfter: now.Add(c.want)}, OutcomeOf(certs{leaf}, c.cas, "a", now))
		})
	}
}

func TestAChainThatIsNotGoodIsExplained(t *testing.T) {
	t.Parallel()
	type certs = []*x509.Certificate
	ca := newIssuer(t)
	ended := ca.cert(true, -time.Minute, nil)
	good := ca.cert(true, 100*time.Hour, nil)
	leaf := ca.cert(false, 50*time.Hour, nil)
	nameless := ca.cert(false, 50*time.Hour, func(c *x509.Certificate) { c.DNSNames = nil })
	client := ca.cert(false, 50*time.Hour, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	assert.Equal(t, Outcome{
		Code: Expired, Detail: "leads to a CA (" + short(ended) + ") that is valid from 2026-11-24T07:30:00Z to 2026-11-24T08:29:00Z only",
	},
		OutcomeOf(certs{leaf}, certs{ended}, "a", now))
	assert.Equal(t, Outcome{Code: WrongName, Detail: "is for no DNS name, not for a"}, OutcomeOf(certs{nameless}, certs{good}, "a", now))
	assert.Equal(
		t, Outcome{Code: Unusable, Detail: "cannot be used: certificate specifies an incompatible key usage"},
		OutcomeOf(certs{client}, certs{good}, "a", now),
	)
	two := certs{ended, ca.cert(true, -time.Hour/2, nil)}
	assert.Equal(t, ended.NotAfter, last(two))
	assert.Equal(t, ended.NotAfter, last(certs{two[1], two[0]}))
}

func TestWhatEndsSoonIsToldBelowTheLimitAndNotAtIt(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t)
	r, _ := newRelease(t)
	year := ca.cert(false, 365*24*time.Hour, nil)
	for name, c := range map[string]struct {
		within, left time.Duration
		want         bool
	}{
		"thirty days are enough for a year":      {0, 30 * 24 * time.Hour, false},
		"less than thirty days are not":          {0, 30*24*time.Hour - time.Second, true},
		"as much as was asked for is enough":     {time.Hour, time.Hour, false},
		"less than what was asked for is not":    {time.Hour, time.Hour - time.Second, true},
		"more than thirty days can be asked for": {100 * 24 * time.Hour, 99 * 24 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &Verifier{API: r, WarnWithin: c.within, Now: func() time.Time { return year.NotAfter.Add(-c.left) }}
			assert.Equal(t, c.want, v.soon(year, year.NotAfter))
		})
	}
}

func TestARemainingLifeIsToldInDaysFromTwoOnwards(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		48 * time.Hour:                     "2 days",
		100*24*time.Hour + 23*time.Hour:    "100 days",
		48*time.Hour - time.Second:         "47h59m59s",
		time.Minute + 400*time.Millisecond: "1m0s",
	} {
		assert.Equal(t, want, left(d))
	}
}

func TestACertificateThatEndsSoonIsFoundOnce(t *testing.T) {
	t.Parallel()
	r, hook := newRelease(t)
	r.ahead = -901 * time.Hour // of 1000
	v := &Verifier{API: r, Dialer: r, Release: "r", Namespace: "ns", Now: func() time.Time { return now }}
	report, err := v.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, VerdictExpiring, report.Verdict)
	leaf := gen.Check(*r.serves, nil, now).Leaf
	assert.Equal(t, []string{
		"expires-soon: Secret ns/certs: the certificate " + short(leaf) +
			" of Service hook stops being trusted on 2027-01-05T00:30:00Z: 4 days are left; " +
			"kubectl delete secret --namespace ns certs && kubectl rollout restart --namespace ns deployment/server",
		"clock-skew: this machine: its clock is 901h0m0s behind the API server's; set its clock by a time server, such as: timedatectl " +
			"set-ntp true",
	}, texts(report))

	other := made(t, "hook.ns.svc")
	r.serves = &other
	hook.ClientConfig.CABundle = append(hook.ClientConfig.CABundle, other.CA...)
	report, err = v.Run(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "expires-soon: Pod ns/pod: the certificate "+short(
		gen.Check(other, nil, now).Leaf,
	)+" of Service hook stops being trusted on 2027-01-05T00:30:00Z: 4 days are left; "+
		"kubectl rollout restart --namespace ns deployment/server", texts(report)[0])
	assert.Contains(t, texts(report)[1], "expires-soon: Secret ns/certs: the certificate "+short(leaf))
}

// Of two servers each has a certificate of its own, and so has a pod of the router that goes on with an older one.
func TestTheCertificateThatEndsSoonIsThatOfItsServer(t *testing.T) {
	t.Parallel()
	ca := newIssuer(t)
	root := ca.cert(true, 1000*time.Hour, nil)
	for name, c := range map[string]struct {
		names   []string
		entries func(first, second *server) []*entry
		checked []*x509.Certificate
		want    []string
	}{
		"behind the second of two webhooks": {
			names: []string{"second.ns.svc"},
			entries: func(first, second *server) []*entry {
				second.entries = []*entry{{server: second, cas: []*x509.Certificate{root}}}
				return []*entry{{server: first}, second.entries[0]}
			},
			want: []string{"expires-soon Pod ns/pod"},
		},
		"behind no webhook": {
			names:   []string{"a"},
			entries: func(*server, *server) []*entry { return nil },
			checked: []*x509.Certificate{root},
			want:    []string{"expires-soon Pod ns/pod"},
		},
		"unless a webhook does not trust it": {
			names: []string{"second.ns.svc"},
			entries: func(first, second *server) []*entry {
				second.entries = []*entry{{server: second}}
				return []*entry{{server: first}, second.entries[0]}
			},
			checked: []*x509.Certificate{root},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRelease(t)
			leaf := ca.cert(false, time.Hour, func(l *x509.Certificate) { l.DNSNames, l.NotBefore = c.names, now.Add(-1000*time.Hour) })
			second := &server{Server: Server{Name: "second"}, served: []served{{Endpoint{Pod: "pod"}, []*x509.Certificate{leaf}}}}
			second.checked.CAs = c.checked
			second.checked.Faults = []gen.Fault{{Code: gen.Malformed}} // the Secret is another matter
			v := &Verifier{API: r, Namespace: "ns", Now: func() time.Time { return now }}
			v.judgeLife(second, c.entries(&server{}, second))
			var got []string
			for _, f := range v.report.Findings {
				got = append(got, string(f.Code)+" "+f.Object)
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// texts are the findings of a report as lines.
func texts(r Report) []string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, f.String())
	}
	return all
}

func TestAClockThatDiffersIsToldOf(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]string{
		0:                          "",
		time.Minute + time.Second:  "its clock is 1m1s ahead of the API server's",
		-time.Minute - time.Second: "its clock is 1m1s behind the API server's",
	} {
		r, _ := newRelease(t)
		r.ahead = ahead
		report, err := r.verify(t)
		require.NoError(t, err)
		assert.Equal(t, now, report.Time, "by the API server's clock")
		if want == "" {
			assert.Empty(t, report.Findings, "%s", ahead)
			continue
		}
		require.Len(t, report.Findings, 1)
		assert.Equal(t, want, report.Findings[0].Message)
	}
}
