package reader

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/internal/plan"
	"github.com/volcano-sh/kthena-certgen/test/rig/charttest"
)

// Planner asks for plans about an installation, and does what they say.
type Planner struct {
	*Reader
	Installation *charttest.Installation
}

// everySwitch are the modes of a walk that begins in auto mode and goes from each mode to each, to itself too. It goes to manual mode
// first: while nobody but kthena-certgen has ever owned a bundle, Helm 4 needs it to give them up.
var everySwitch = []string{
	charttest.Auto, charttest.Manual, charttest.Manual, charttest.Auto, charttest.CertManager, charttest.CertManager, charttest.Manual,
	charttest.CertManager, charttest.Auto,
}

// Generate makes what manual mode needs, for subcharts that are separated by commas.
func (p Planner) Generate(t *testing.T, subcharts string) {
	t.Helper()
	p.Run(t, "kthena-certgen generate --force --namespace "+p.Installation.Namespace+" --output-dir manual --subchart "+subcharts)
}

// Ask prints the plan of a switch. For manual mode it is about what Generate has written.
func (p Planner) Ask(t *testing.T, to string) plan.Plan {
	t.Helper()
	command := "kthena-certgen plan --namespace " + p.Installation.Namespace + " --output json --to " + to
	if to == charttest.Manual {
		command += " --values manual/values.yaml --ca-cert manual/ca.crt"
	}
	var found plan.Plan
	require.NoError(t, json.Unmarshal([]byte(p.Run(t, command+" 2>/dev/null || test $? = 3")), &found))
	return found
}

// Switch runs what plan prints for each of everySwitch as it is, while so many objects a second are sent, of which none may fail, and
// nobody may touch the user's Secrets. The installation has so many entries.
func (p Planner) Switch(t *testing.T, rate, entries int) {
	t.Helper()
	const secrets = "kubectl get --filename manual/secrets.yaml --output yaml"
	own := p.Run(t, secrets)
	from := charttest.Auto
	for _, to := range everySwitch {
		found := p.Ask(t, to)
		require.Empty(t, found.Refused)
		assert.Equal(t, []string{from, to}, []string{found.From, found.To})
		if from == to {
			assert.Empty(t, found.Steps)
			continue
		}
		require.NotEmpty(t, found.Steps)
		objects := p.Installation.Probe(t, rate)
		for _, s := range found.Steps {
			p.Run(t, s.Command)
		}
		p.Installation.Settle(t)
		r := objects.Stop()
		charttest.AssertNoneFailed(t, r)
		t.Logf("%s -> %s as planned: %s", from, to, charttest.Figures(r))
		p.Installation.RequireAdmission(t, entries)
		require.Equal(t, own, p.Run(t, secrets))
		from = to
	}
}
