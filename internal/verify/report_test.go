package verify

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAReportBeginsWithWhatIsGravest(t *testing.T) {
	t.Parallel()
	f := func(code Code, object, message string) Finding {
		return Finding{Code: code, Severity: describe(code).Severity, Object: object, Message: message}
	}
	r := Report{
		Findings: []Finding{
			f(ClockSkew, "a", "a"), f(Stale, "a", "a"), f(ExpiresSoon, "a", "a"), f(NotTLS, "b", "b"), f(NotTLS, "b", "a"), f(NotTLS, "a", "z"),
			f(BundleMissing, "z", "z"),
		},
		MissingRights: []string{"list b", "get a", "list b"},
	}
	r.finish()
	assert.Equal(
		t, []string{"bundle-missing z z", "not-tls a z", "not-tls b a", "not-tls b b", "expires-soon a a", "stale a a", "clock-skew a a"},
		brief(r),
	)
	assert.Equal(t, []string{"get a", "list b"}, r.MissingRights)
	assert.Equal(t, VerdictBroken, r.Verdict)
}

func brief(r Report) []string {
	var all []string
	for _, f := range r.Findings {
		all = append(all, strings.Join([]string{string(f.Code), f.Object, f.Message}, " "))
	}
	return all
}

func TestTheVerdictIsThatOfTheGravestFinding(t *testing.T) {
	t.Parallel()
	for code, want := range map[Code]Verdict{"": VerdictOK, Stale: VerdictOK, ExpiresSoon: VerdictExpiring, Expired: VerdictBroken} {
		var r Report
		if code != "" {
			r.Findings = []Finding{{Code: code, Severity: describe(code).Severity}}
		}
		r.finish()
		assert.Equal(t, want, r.Verdict, "%s", code)

		r.MissingRights = []string{"get a"}
		r.finish()
		if want == VerdictOK {
			want = VerdictIncomplete
		}
		assert.Equal(t, want, r.Verdict, "%s, and rights are missing", code)
	}
}

func TestTheTableSaysWhatTheReportComesTo(t *testing.T) {
	t.Parallel()
	ends := now
	for name, c := range map[string]struct {
		report Report
		want   string
	}{
		"when all is well": {
			Report{Verdict: VerdictOK, Mode: Manual}, "mode manual: \x1b[32mok\x1b[0m: every certificate is trusted, and none expires soon\n",
		},
		"when one ends soon": {
			Report{Verdict: VerdictExpiring}, "mode -: \x1b[33mexpiring\x1b[0m: every certificate is trusted, and one expires soon\n",
		},
		"when rights are missing": {Report{Verdict: VerdictIncomplete, MissingRights: []string{"get a", "list b"}},
			"mode -: \x1b[33mincomplete\x1b[0m: nothing is wrong with what could be seen; not all could be seen: get a, list b\n"},
		"when something fails": {Report{Verdict: VerdictBroken}, "mode -: \x1b[31mbroken\x1b[0m\n"},
		"of what is broken":    {Report{Findings: []Finding{{Code: NotTLS, Severity: Broken}}}, "\n\x1b[31mbroken\x1b[0m not-tls: "},
		"of a router": {
			Report{Servers: []Server{{Name: "kthena-router", NotAfter: &ends, Secret: Secret{Name: "s", Origin: "user"}}}},
			"\n(router)  kthena-router  0      2026-11-24     s       user     -\n",
		},
		"of a webhook": {
			Report{Webhooks: []Webhook{{Name: "w", Server: "hook", Admission: Failed}}, Servers: []Server{{Name: "hook"}}},
			"\nw        hook     0      -              -       -        failed\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := string(c.report.Table(true))
			assert.Contains(t, text, c.want)
			assert.Equal(t, len(c.report.MissingRights) > 0, strings.Contains(text, "not all could be seen"))
		})
	}
}
