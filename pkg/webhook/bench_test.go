package webhook_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/volcano-sh/kthena-certgen/pkg/gen"
	"github.com/volcano-sh/kthena-certgen/pkg/webhook"
)

// memoryAPI is an API server that answers at once and forgets what it is told, so that the library alone is measured.
type memoryAPI struct{ snapshot *webhook.Snapshot }

func (a memoryAPI) Get(context.Context, string) (*webhook.Snapshot, error) { return a.snapshot, nil }

func (a memoryAPI) Patch(context.Context, string, []byte, string) error { return nil }

// BenchmarkTrust makes the four entries of a configuration trust one CA.
func BenchmarkTrust(b *testing.B) {
	set := newCAs(b, 4)
	own, others := set[3:], set[:3] // newest first, as they are kept
	for _, c := range []struct {
		name    string
		bundle  gen.CASet
		patched bool
	}{
		{"empty", nil, true},
		{"others", others, true},
		{"in-place", own, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			snapshot := &webhook.Snapshot{ResourceVersion: "1"}
			for _, name := range []string{"a.example.com", "b.example.com", "c.example.com", "d.example.com"} {
				snapshot.Entries = append(snapshot.Entries, webhook.Entry{Name: name, CABundle: c.bundle.PEM()})
			}
			for b.Loop() {
				configuration := webhook.Configuration{
					API: memoryAPI{snapshot}, Kind: webhook.Validating, Name: "benchmark", FieldManager: "benchmark",
					Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
				}
				res, err := configuration.Trust(b.Context(), own)
				require.NoError(b, err)
				require.Equal(b, c.patched, res.Patched)
			}
		})
	}
}
