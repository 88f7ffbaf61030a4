package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// situations are what a run that is killed had to do.
var situations = map[string]struct {
	prepare func(t *testing.T, s *site)
	args    []string
}{
	"create": {prepare: func(t *testing.T, s *site) { s.deleteSecret(t) }},
	"renew":  {prepare: func(*testing.T, *site) {}, args: []string{"--force-renew"}},
	"repair": {prepare: func(t *testing.T, s *site) {
		s.changeSecret(t, func(o *corev1.Secret) { o.Data["tls.key"] = []byte("garbage") })
	}},
	"repair what cannot be updated": {prepare: func(t *testing.T, s *site) {
		s.changeSecret(t, func(o *corev1.Secret) { o.Immutable, o.Data["tls.crt"] = ptr.To(true), []byte("garbage") })
	}},
}

// deleteSecret takes away the Secret and nothing else.
func (s *site) deleteSecret(t *testing.T) {
	t.Helper()
	require.NoError(t, cluster.Client.CoreV1().Secrets(s.namespace).Delete(t.Context(), s.secret, metav1.DeleteOptions{}))
}

func (s *site) changeSecret(t *testing.T, change func(*corev1.Secret)) {
	t.Helper()
	o := s.storedSecret(t)
	change(o)
	_, err := cluster.Client.CoreV1().Secrets(s.namespace).Update(t.Context(), o, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// victim is a site whose servers run with the files of a first bootstrap, and which has been brought into a situation.
func victim(t *testing.T, situation string) (s *site, first *outcome) {
	t.Helper()
	s = newSite(t)
	s.createConfigurations(t)
	first = s.bootstrap(t.Context(), t)
	first.requireDone(t, "created")
	situations[situation].prepare(t, s)
	return s, first
}

// requireRecovery asserts what must hold after a run for files in dir was killed, and again after the next run.
func (s *site) requireRecovery(t *testing.T, first *outcome, dir string) {
	t.Helper()
	if killed := (&outcome{dir: dir}); exists(
		filepath.Join(dir, "tls.crt"),
	) && exists(filepath.Join(dir, "tls.key")) && exists(filepath.Join(dir, "ca.crt")) {
		s.requireTrusted(t, killed)
	}
	s.requireTrusted(t, first)

	next := s.bootstrap(t.Context(), t, "--output-dir", dir)
	require.Equal(t, 0, next.code, next.stderr)
	next.dir = dir
	s.requireTrusted(t, next)
	s.requireTrusted(t, first)
	stored := s.storedSecret(t)
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		assert.Equal(t, string(stored.Data[name]), string(next.file(t, name)))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 5, "three links, the link to the folder, the folder: %v", entries)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestARunThatIsKilledAtAnyRequestIsMadeGoodByTheNext(t *testing.T) {
	t.Parallel()
	for name, situation := range situations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, point := range requestsOf(t, name) {
				for _, when := range []string{"before", "after"} {
					t.Run("killed "+when+" "+point, func(t *testing.T) {
						t.Parallel()
						s, first := victim(t, name)
						run, kill := s.killable(t, situation.args)
						p := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
							hit := requestName(s, r) == point
							if hit && when == "before" {
								kill()
								return
							}
							forward.ServeHTTP(w, r)
							if hit {
								kill()
							}
						})
						dir := t.TempDir()
						assert.Equal(t, -1, run(p, dir), "the program must not end by itself")
						s.requireRecovery(t, first, dir)
					})
				}
			}
		})
	}
}

// requestsOf lists the requests that the program makes in a situation, in any order.
func requestsOf(t *testing.T, situation string) []string {
	t.Helper()
	s, _ := victim(t, situation)
	var points []string
	seen := make(chan string, 100)
	p := newProxy(t, func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		seen <- requestName(s, r)
		forward.ServeHTTP(w, r)
	})
	run, _ := s.killable(t, situations[situation].args)
	require.Equal(t, 0, run(p, t.TempDir()))
	close(seen)
	for point := range seen {
		points = append(points, point)
	}
	require.GreaterOrEqual(t, len(points), 6, "%v", points)
	return points
}

func requestName(s *site, r *http.Request) string {
	parts := strings.Split(r.URL.Path, "/")
	return r.Method + " " + strings.ReplaceAll(parts[len(parts)-1], s.namespace+"-", "")
}

func TestARunThatIsKilledAtAnyFileOperationIsMadeGoodByTheNext(t *testing.T) {
	t.Parallel()
	for name, situation := range situations {
		// Files are replaced in the same way, whatever the reason. With -short every third operation is enough.
		stride := 1
		if testing.Short() {
			if name != "create" {
				continue
			}
			stride = 3
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n += stride {
				s, first := victim(t, name)
				// A new pod's folder is empty; a container that is restarted in its pod finds the files of its last run.
				dir, old := t.TempDir(), *first
				if name != "create" {
					dir, old.dir = first.dir, copyOf(t, first)
				}
				args := append(append([]string{certgen(t)}, s.arguments(dir)...), situation.args...)
				begun := runAndKill(t, args, dir, n)
				ok := t.Run(fmt.Sprintf("killed before operation %d", n), func(t *testing.T) { s.requireRecovery(t, &old, dir) })
				if !ok || len(begun) < n {
					t.Logf("%d operations: %v", len(begun), begun)
					require.Greater(t, len(begun), 15, "%v", begun)
					return
				}
			}
		})
	}
}

// copyOf copies the files of a run to a folder of their own.
func copyOf(t *testing.T, o *outcome) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), o.file(t, name), 0o600))
	}
	return dir
}
