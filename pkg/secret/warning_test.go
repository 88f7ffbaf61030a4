package secret_test

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/volcano-sh/kthena-certgen/pkg/core"
	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/secret"
)

func TestWhoseCertificateEndsSoonIsTold(t *testing.T) {
	t.Parallel()
	const warning = `level=WARN msg="certificate of somebody else ends soon: replace it in time"`
	for name, tc := range map[string]struct {
		left time.Duration
		want bool
	}{
		"when less than a third of the validity is left": {gen.DefaultValidity/3 - time.Second, true},
		"and not while a third is left":                  {gen.DefaultValidity / 3, false},
		"and not when it is fresh":                       {gen.DefaultValidity, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t)
			ensure(t, s, want)
			rewrite(t, s, func(o *core.Secret) { o.Labels = nil })
			var log bytes.Buffer
			s.Log = slog.New(slog.NewTextHandler(&log, nil))
			s.Now = func() time.Time { return now.Add(gen.DefaultValidity - tc.left) }
			assert.Equal(t, secret.Reused, ensure(t, s, want).Outcome)
			if tc.want {
				assert.Contains(
					t, log.String(), warning+" secret="+s.Namespace+"/certs not-after="+now.Add(gen.DefaultValidity).Format("2006-01-02T15:04:05.000Z"),
				)
			} else {
				assert.Empty(t, log.String())
			}
		})
	}
}
